"""Columns that a selection needs: what they are called in a file; there, or an error that names the branch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import UserError, closest


def branches_of(collection: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the names that `columns` of `collection` have in a file: `Muon_pt` for `pt` of `Muon`."""
    return tuple(f"{collection}_{name}" for name in columns)


def column(collection: Any, name: str, *, of: str, advice: str) -> Any:
    """Return `collection[name]`.

    `of` is the name of the collection in the file (`Muon`), `advice` what to do if the branch is missing. Raises
    UserError then, with the closest names.
    """
    if name not in collection.fields:
        raise UserError(
            f"The selection needs the branch {of}_{name}, which the file does not have."
            f"{closest(name, collection.fields)} {advice}"
        )
    return collection[name]
