"""The branches of a tree and what each weighs on disk, from the tree's metadata alone."""

from __future__ import annotations

from typing import Any


def compressed_bytes(tree: Any) -> dict[str, int]:
    """Return branch → compressed bytes of all its baskets (TTree) or pages (RNTuple), in the order of the file.

    Args:
        tree: a TTree or RNTuple that uproot has opened; no basket of it is read.
    """
    if hasattr(tree, "page_link_list"):
        return _of_rntuple(tree)
    return {name: int(tree[name].compressed_bytes) for name in tree.keys()}  # noqa: SIM118 (a tree is no mapping)


def _of_rntuple(tree: Any) -> dict[str, int]:
    """Return the sizes of the top-level fields: what lies in a field below one, or is shared by several, counts."""
    columns = [0] * len(tree.column_records)
    for cluster in tree.page_link_list:
        for place, link in enumerate(cluster):
            columns[place] += sum(page.locator.num_bytes for page in link.pages)
    sizes = dict.fromkeys(tree.keys(recursive=False), 0)
    for column, size in zip(tree.column_records, columns, strict=True):
        sizes[_top(tree, column.field_id)] = sizes.get(_top(tree, column.field_id), 0) + size
    # A projected field (Muon_pt) has its data in a column of another one (a collection of all that muons have).
    for alias in tree.alias_column_records:
        sizes[_top(tree, alias.field_id)] = sizes.get(_top(tree, alias.field_id), 0) + columns[alias.physical_id]
    return sizes


def _top(tree: Any, place: int) -> str:
    """Return the name of the field without parent that a field lies in; such a field is its own parent."""
    while tree.field_records[place].parent_field_id != place:
        place = tree.field_records[place].parent_field_id
    return str(tree.field_records[place].field_name)
