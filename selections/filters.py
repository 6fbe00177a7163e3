"""Event filters against noise and beam background (MET filters), branches `Flag_*` of NanoAOD.

Which filters belong to an era: https://twiki.cern.ch/twiki/bin/view/CMS/MissingETOptionalFiltersRun2
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError, closest
from .branches import branches_of


def branches(names: Sequence[str]) -> tuple[str, ...]:
    """Return the branches of the filters `names`, which may be written with or without the prefix Flag_."""
    return branches_of("Flag", (name.removeprefix("Flag_") for name in names))


def passes(flags: Any, names: Sequence[str], n_events: int, *, optional: Collection[str] = ()) -> npt.NDArray[np.bool_]:
    """Return `[events]`, True where every filter in `names` is passed; all True for no names.

    `flags` is `events.Flag`; names may be written with or without the prefix Flag_. A filter that the file
    does not have is skipped if it is named in `optional`. Raises UserError for any other.
    """
    skippable = {name.removeprefix("Flag_") for name in optional}
    result = np.ones(n_events, dtype=bool)
    for name in (name.removeprefix("Flag_") for name in names):
        if name in flags.fields:
            result &= np.asarray(ak.to_numpy(flags[name]), dtype=bool)
        elif name not in skippable:
            raise UserError(
                f"The file has no event filter Flag_{name}.{closest(name, flags.fields)} Set the filters of "
                "this "
                "era, or name it as optional."
            )
    return result
