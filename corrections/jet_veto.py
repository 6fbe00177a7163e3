"""Jet veto maps: regions of the detector with bad jets, in eta and phi.

Recommendation of the JetMET group (https://cms-jerc.web.cern.ch/Recommendations/#jet-veto-maps): an event, of data or
simulation, is rejected if a jet with pt > 15 GeV, tight identification, less than 0.9 of its energy electromagnetic,
and no particle-flow muon within 0.2 lies where the map is not zero: `ak.any(vetoed(…), axis=1)`. In Run 2, rejecting
the jets alone is as good.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import loading
from .catalogue import CorrectionRecord
from .evaluation import Array, evaluate_flat, flatten, unflatten

BRANCHES = ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_chEmEF", "Jet_neEmEF")
MIN_PT = 15.0
"""GeV."""
MAX_ELECTROMAGNETIC = 0.9
MUON_DELTA_R = 0.2


def in_vetoed_region(record: CorrectionRecord, eta: Array, phi: Array) -> Array:
    """Return the mask of the jets where the map of `record` (`jet_veto`) is not zero, in the structure of `eta`.

    phi in radian, any multiple of 2π added. Beyond the map in eta nothing is vetoed.
    """
    (eta_flat, phi_flat), counts = flatten([eta, phi])
    low, high = loading.domain(record.path, record.key, record.fixed).tabulated["phi"]
    beyond = np.abs(phi_flat) > np.float32(np.pi)
    phi_flat = np.where(beyond, np.remainder(phi_flat + np.pi, 2 * np.pi) - np.pi, phi_flat)
    # float32 π is a little more than π: it belongs into the last bin, not outside of the map.
    place = {"eta": eta_flat, "phi": np.clip(phi_flat, low, np.nextafter(high, low))}
    found = evaluate_flat(record.path, record.key, place, choices=record.fixed, default=0.0)
    return unflatten(np.asarray(found.values) != 0.0, counts)


def vetoed(
    record: CorrectionRecord, jets: Any, *, identified: Any = None, near_muon: Any = None, pt: Any = None
) -> Array:
    """Return the mask of the jets for which the event is to be rejected, in the structure of `jets`.

    `jets` (`[events, jets]` or flat `[jets]`) has pt, eta, phi, chEmEF, neEmEF. `identified` is the mask of jets with
    tight identification (None: all), `near_muon` that of jets with a particle-flow muon within 0.2 (None: no jet), `pt`
    (GeV) replaces `jets.pt`.
    """
    mask = (jets["pt"] if pt is None else pt) > MIN_PT
    mask = mask & (jets["chEmEF"] + jets["neEmEF"] < MAX_ELECTROMAGNETIC)
    if identified is not None:
        mask = mask & identified
    if near_muon is not None:
        mask = mask & ~near_muon
    return mask & in_vetoed_region(record, jets["eta"], jets["phi"])
