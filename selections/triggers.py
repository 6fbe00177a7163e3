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
    muons: Any, trigger_objects: Any, *, max_delta_r: float = 0.1, filter_bits: int = 2, pdg_id: int = 13
) -> ak.Array:
    """Return the mask `[events, muons]` of the muons with a trigger object closer than `max_delta_r`.

    Objects count if their `id` is `pdg_id` and all of `filter_bits` are set. Reads eta and phi of both, and
    id and filterBits of the objects.
    """
    bits = trigger_objects["filterBits"]
    chosen = (trigger_objects["id"] == pdg_id) & ((bits & filter_bits) == filter_bits)
    eta, phi = trigger_objects["eta"][chosen], trigger_objects["phi"][chosen]
    muon_eta, muon_phi = muons["eta"], muons["phi"]
    delta_eta = muon_eta[:, :, np.newaxis] - eta[:, np.newaxis, :]
    # The difference of angles is folded to -pi..pi, so that muons on both sides of phi = pi can match.
    delta_phi = (muon_phi[:, :, np.newaxis] - phi[:, np.newaxis, :] + np.pi) % (2 * np.pi) - np.pi
    return ak.any(delta_eta**2 + delta_phi**2 < max_delta_r**2, axis=2)
