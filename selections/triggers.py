"""Triggers: the OR of HLT paths that may be missing from some files, and matching of muons to trigger
objects.

Filter bits of the trigger objects: `TrigObj_filterBits` in the documentation of NanoAOD,
https://cms-xpog.docs.cern.ch/autoDoc/ (for muons, id 13: 2 is "Iso", 8 is "1mu").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError, closest
from .branches import branches_of
from .flat import flattened

#: Columns of the trigger objects that matching reads.
OBJECT_COLUMNS = ("eta", "phi", "id", "filterBits")


def branches(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the branches of `paths`, which may be written with or without the prefix HLT_; one is enough."""
    return branches_of("HLT", (path.removeprefix("HLT_") for path in paths))


def object_branches() -> tuple[str, ...]:
    """Return the branches of the trigger objects that `matched` reads."""
    return branches_of("TrigObj", OBJECT_COLUMNS)


#: Largest distance of a muon from its trigger object, as √(Δη² + Δφ²).
MAX_DELTA_R = 0.1


def present(hlt: Any, paths: Sequence[str]) -> tuple[str, ...]:
    """Return those of `paths` that the file has, without the prefix HLT_, in the order given.

    `hlt` is `events.HLT`; `paths` may be written with or without the prefix.
    """
    available = set(hlt.fields)
    return tuple(name for name in (path.removeprefix("HLT_") for path in paths) if name in available)


def fired(hlt: Any, paths: Sequence[str], n_events: int) -> npt.NDArray[np.bool_]:
    """Return `[events]`, True where at least one of `paths` fired.

    A path that the file does not have (menus change between runs) did not fire. Raises UserError if `paths`
    is empty or if the file has none of them: that is a misspelt path, or the wrong era.
    """
    found = present(hlt, paths)
    if not found:
        near = "".join(closest(path.removeprefix("HLT_"), hlt.fields) for path in paths[:3])
        raise UserError(
            f"The file has none of the trigger paths {', '.join(paths) or '(none given)'}.{near} Set the "
            "paths of "
            f"this era; the file has {len(hlt.fields)} paths."
        )
    result = np.zeros(n_events, dtype=bool)
    for name in found:
        result |= np.asarray(ak.to_numpy(hlt[name]), dtype=bool)
    return result


def matched(
    muons: Any, trigger_objects: Any, *, max_delta_r: float = MAX_DELTA_R, filter_bits: int = 2, pdg_id: int = 13
) -> ak.Array:
    """Return the mask `[events, muons]` of the muons with a trigger object closer than `max_delta_r`.

    Objects count if their `id` is `pdg_id` and all of `filter_bits` are set. Reads eta and phi of both, and
    id and filterBits of the objects.
    """
    columns = flattened(muons)
    result = flat_matched(
        columns.event,
        columns["eta"],
        columns["phi"],
        trigger_objects,
        max_delta_r=max_delta_r,
        filter_bits=filter_bits,
        pdg_id=pdg_id,
    )
    return ak.unflatten(result, columns.counts)


def flat_matched(
    event: npt.NDArray[np.int64],
    eta: npt.NDArray[Any],
    phi: npt.NDArray[Any],
    trigger_objects: Any,
    *,
    max_delta_r: float = MAX_DELTA_R,
    filter_bits: int = 2,
    pdg_id: int = 13,
) -> npt.NDArray[np.bool_]:
    """Return `[muons]` like `matched`, for flat muons of which `event` (`[muons]`) says where in the chunk they are."""
    objects = flattened(trigger_objects)
    chosen = (objects["id"] == pdg_id) & ((objects["filterBits"] & filter_bits) == filter_bits)
    per_event = np.bincount(objects.event[chosen], minlength=len(objects.counts))
    # Each muon with each chosen object of its event.
    n_objects = per_event[event]
    muon = np.repeat(np.arange(len(event)), n_objects)
    within = np.arange(len(muon)) - np.repeat(np.cumsum(n_objects) - n_objects, n_objects)
    which = np.flatnonzero(chosen)[(np.cumsum(per_event) - per_event)[event][muon] + within]
    delta_eta = eta[muon] - objects["eta"][which]
    # The difference of angles is folded to -pi..pi, so that muons on both sides of phi = pi can match.
    delta_phi = (phi[muon] - objects["phi"][which] + np.pi) % (2 * np.pi) - np.pi
    close = delta_eta**2 + delta_phi**2 < max_delta_r**2
    return np.bincount(muon[close], minlength=len(event)) > 0
