"""The cuts of the Mu2e analysis, written down once more for tests: plain awkward on the raw branches."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np


def momentum(events: ak.Array) -> ak.Array:
    """Return |p| of all segments, [E, T, S]."""
    mom = events.trksegs.mom.fCoordinates
    return np.sqrt(mom.fX**2 + mom.fY**2 + mom.fZ**2)


def pitch(events: ak.Array) -> ak.Array:
    """Return pz/pT of all segments, [E, T, S]."""
    mom = events.trksegs.mom.fCoordinates
    return mom.fZ / np.hypot(mom.fX, mom.fY)


def mid_times(events: ak.Array) -> ak.Array:
    """Return the times at the middle of the tracker of all electron fits, [E, n]."""
    return ak.flatten(events.trksegs.time[events.trksegs.sid == 1][events.trk.pdg == 11], axis=2)


def dt(events: ak.Array) -> ak.Array:
    """Return track minus coincidence time for all combinations, [E, n]."""
    first, second = ak.unzip(ak.cartesian([mid_times(events), events.crvcoincs.time]))
    return first - second


def vetoed(events: ak.Array, low: float = -150.0, high: float = 150.0) -> ak.Array:
    """Return whether a coincidence is in the window, [E]."""
    differences = dt(events)
    return ak.any((differences > low) & (differences < high), axis=1)


def cut_masks(events: ak.Array) -> dict[str, Any]:
    """Return the 20 cuts, [E] or [E, T], at their default thresholds (but quality > 0.2)."""
    segs, sid = events.trksegs, events.trksegs.sid
    pars = events["trksegpars_lh"] if "trksegpars_lh" in events.fields else events["trksegpars_ch"]
    pz, p, dip, electron = segs.mom.fCoordinates.fZ, momentum(events), pitch(events), events.trk.pdg == 11

    def at(surface: Any, condition: Any) -> Any:
        return ak.all(~surface | condition, axis=2)

    front, mid = sid == 0, sid == 1
    masks = {
        "thru_trk": ak.any(front, axis=2) & ak.any(mid, axis=2) & ak.any(sid == 2, axis=2),
        "is_reco_electron": electron,
        "one_reco_electron": ak.sum(electron, axis=1) == 1,
        "is_downstream": at(sid < 3, pz > 0),
    }
    if "trkmcsim" in events.fields:
        sim = events.trkmcsim
        most = ak.fill_none(ak.max(sim.nhits, axis=2), -1000)
        masks["is_truth_electron"] = ak.any((sim.pdg == 11) & (sim.nhits == most), axis=2)
    return masks | {
        "good_trkqual": events.trkqual.result > 0.2,
        "within_t0": at(mid, (segs.time > 640) & (segs.time < 1650)),
        "within_t0err": at(mid, pars.t0err < 0.9),
        "has_hits": events.trk.nactive > 20,
        "within_d0": at(front, pars.d0 < 100),
        "within_pitch_angle_lo": at(front, dip > 0.5),
        "within_pitch_angle_hi": at(front, dip < 1.0),
        "within_lhr_max_lo": at(front, pars.maxr > 450),
        "within_lhr_max_hi": at(front, pars.maxr < 680),
        "within_coinc_start_time": ak.all(events.crvcoincs.timeStart > 420, axis=1),
        "within_coinc_end_time": ak.all(events.crvcoincs.timeEnd < 1700, axis=1),
        "unvetoed": ~vetoed(events),
        "within_wide_win": at(front, (p > 85) & (p < 200)),
        "within_ext_win": at(front, (p > 100) & (p < 110)),
        "within_sig_win": at(front, (p > 103.6) & (p < 104.9)),
    }


def cut_flow(events: ak.Array, *without: str) -> dict[str, int]:
    """Return the events with a track that passes all cuts so far, cut by cut."""
    passing = events.trk.pdg != 0
    flow = {"all": len(events)}
    for name, mask in cut_masks(events).items():
        if name not in without:
            passing = passing & mask
            flow[name] = int(ak.sum(ak.any(passing, axis=1)))
    return flow


def selected(events: ak.Array, *without: str) -> Any:
    """Return the events with a track that passes all cuts but ``without``, [E]."""
    passing = events.trk.pdg != 0
    for name, mask in cut_masks(events).items():
        if name not in without:
            passing = passing & mask
    return ak.to_numpy(ak.any(passing, axis=1))
