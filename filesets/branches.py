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
    """Return the sizes of the top-level fields; what lies in a field below one counts for it."""
    fields = tree.field_records
    sizes = dict.fromkeys(tree.keys(recursive=False), 0)
    for cluster in tree.page_link_list:
        for column, link in zip(tree.column_records, cluster, strict=False):
            place = column.field_id
            while fields[place].parent_field_id != place:
                place = fields[place].parent_field_id
            name = fields[place].field_name
            sizes[name] = sizes.get(name, 0) + sum(page.locator.num_bytes for page in link.pages)
    return sizes
