"""Certified luminosity sections ("golden JSON"): which events of data may be used.

The lookup is coffea's `LumiMask`; the file format is the CMS one, run -> list of [first, last] sections.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from coffea.lumi_tools import LumiMask
from pydantic import Field, TypeAdapter, ValidationError

from ..errors import UserError

#: What an event of data must have for it.
BRANCHES = ("run", "luminosityBlock")

_Section = Annotated[int, Field(ge=0, lt=2**32)]
_GOLDEN = TypeAdapter(dict[_Section, list[tuple[_Section, _Section]]])


def certified(path: Path, run: Any, luminosity_block: Any) -> npt.NDArray[np.bool_]:
    """Return `[events]`, True where the luminosity section of the event is certified in the JSON file at
    `path`.

    `run` and `luminosity_block` are `[events]`, numpy or awkward, of any integer type. The file is read once
    a process. Raises UserError if the file is missing or not a list of certified sections: a mask that cannot
    be read is never taken as "all good".
    """
    mask = luminosity_mask(path)
    return np.asarray(mask(_unsigned(run), _unsigned(luminosity_block)), dtype=bool)


def luminosity_mask(path: Path) -> LumiMask:
    """Return coffea's mask for the file at `path`, read once a process. Raises as `certified` does."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise UserError(f"The luminosity mask {path} cannot be read ({error.strerror}). Check the path.") from error
    return _load(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _load(path: str, mtime_ns: int, size: int) -> LumiMask:  # noqa: ARG001 (time and size belong to the cache key)
    certified_sections(Path(path))
    return LumiMask(path)


def certified_sections(path: Path) -> dict[int, list[tuple[int, int]]]:
    """Return run -> certified sections, first and last of each range, of the file at `path`.

    Raises UserError if it cannot be read, is not such a list, or has its sections out of order.
    """
    try:
        sections = _GOLDEN.validate_json(Path(path).read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UserError(
            f"The luminosity mask {path} is not a JSON of certified sections ({reason}). It should read "
            '{"run": [[first, last], ...], ...}, as the CMS Cert_*_JSON files do. Copy it again.'
        ) from error
    for run, ranges in sections.items():
        edges = [edge for section in ranges for edge in section]
        # The lookup is a binary search: out of order it would be wrong without a word.
        if edges != sorted(edges):
            raise UserError(f"The luminosity mask {path} has overlapping or unsorted sections in run {run}.")
    return sections


def _unsigned(values: Any) -> npt.NDArray[np.uint32]:
    # The compiled lookup of coffea takes writeable uint32 and nothing else (a trace has read-only buffers).
    array = ak.to_numpy(values) if isinstance(values, ak.Array) else np.asarray(values)
    return np.require(array, dtype=np.uint32, requirements=["C", "W"])
