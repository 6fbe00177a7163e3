"""What the description of a tree must fulfil before an event is read: cheap, since only metadata are looked at.

uproot checks the compressed bytes of a basket as far as ROOT's format allows. It does not hold the tables of a tree
against each other, and a wrong one would shorten or mix up the events, or have it wait for ever.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: No basket lies before the end of the file header.
FIRST_BYTE = 64


def check_tree(tree: Any, size: int | None) -> None:
    """Hold the number of entries, the ranges of entries and the places in the file of all branches against each other.

    Args:
        tree: a TTree or RNTuple of uproot.
        size: of the file in bytes; None is not known.

    Raises:
        ValueError: they contradict each other, so the description is damaged.
    """
    if hasattr(tree, "cluster_summaries"):
        _check_clusters(tree)
    else:
        _check_baskets(tree, size)


def _check_clusters(tree: Any) -> None:
    reached = 0
    for cluster in tree.cluster_summaries:
        if cluster.num_first_entry != reached:
            raise ValueError(f"a cluster starts at entry {cluster.num_first_entry}, the one before ends at {reached}")
        reached += cluster.num_entries
    if reached != tree.num_entries:
        raise ValueError(f"the clusters have {reached} entries, the tree {tree.num_entries}")


def _check_baskets(tree: Any, size: int | None) -> None:
    total = int(tree.num_entries)
    if total < 0:
        raise ValueError(f"the tree has {total} entries")
    starts, stops = [], []
    for branch in tree.itervalues(recursive=True):
        seeks, lengths = _written(branch)
        if seeks.size == 0:
            continue
        if branch.num_entries != total:
            raise ValueError(f"the branch '{branch.name}' has {branch.num_entries} entries, the tree {total}")
        if lengths.size < seeks.size or lengths.min() <= 0:
            raise ValueError(f"the branch '{branch.name}' has a basket without a length")
        starts.append(seeks)
        stops.append(seeks + lengths)
    if starts:
        _check_places(np.concatenate(starts), np.concatenate(stops), size)


def _written(branch: Any) -> tuple[Any, Any]:
    """Return the places and lengths of the baskets that are not kept inside the description of the tree.

    Raises:
        ValueError: their ranges of entries are not in order.
    """
    count = max(int(branch.member("fWriteBasket")), 0)
    seeks = np.asarray(branch.member("fBasketSeek"), np.int64)[:count]
    seeks = seeks[: int(np.argmin(seeks != 0))] if seeks.size and not seeks.all() else seeks
    edges = np.asarray(branch.member("fBasketEntry"), np.int64)[: seeks.size + 1]
    if (np.diff(edges) < 0).any() or (edges.size and edges[0] < 0):
        raise ValueError(f"the baskets of the branch '{branch.name}' are not in the order of their entries")
    return seeks, np.asarray(branch.member("fBasketBytes"), np.int64)[: seeks.size]


def _check_places(starts: Any, stops: Any, size: int | None) -> None:
    if starts.min() < FIRST_BYTE or (size is not None and stops.max() > size):
        raise ValueError(f"a basket lies at bytes {starts.min()} to {stops.max()}, outside the file")
    order = np.argsort(starts, kind="stable")
    if (starts[order][1:] < stops[order][:-1]).any():
        raise ValueError("two baskets lie in the same place of the file")
