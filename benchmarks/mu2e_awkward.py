"""The Mu2e selection of one cutset straight down in awkward arrays: what ``mu2e_cutsets.py`` runs against.

Same cuts, same stages and windows, same 22 histograms, no shared numbers between cutsets: masks [E,T] of nested
arrays, and for each histogram the tracks are selected anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import hist
import numpy as np
from mucoffea.processors.mu2e_histograms import HISTOGRAMS
from mucoffea.selections.cutsets import Cutset

FRONT, MID, BACK = 0, 1, 2
STAGES = ("All", "Preselect", "Select", "Unvetoed")
PRESELECT = 5


def magnitude(vector: Any) -> Any:
    """Return |p| in the precision of the components."""
    return np.sqrt(vector.x**2 + vector.y**2 + vector.z**2)


def masks(events: Any, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Return cut → mask, ``[E,T]`` or ``[E]``."""
    trk, segments, fit, t = events.trk, events.trk.segs, events.trk.lh, thresholds
    at = {sid: segments.sid == sid for sid in (FRONT, MID, BACK)}
    has = {sid: ak.any(mask, axis=2) for sid, mask in at.items()}

    def every(sid: int, condition: Any) -> Any:
        return has[sid] & ak.all(~at[sid] | condition, axis=2)

    p = magnitude(segments.mom)
    transverse = np.sqrt(segments.mom.x**2 + segments.mom.y**2)
    pitch = ak.where(transverse > 0, segments.mom.z / transverse, 0)
    in_tracker = at[FRONT] | at[MID] | at[BACK]
    sim = trk.mcsim
    most = sim.nhits == ak.max(sim.nhits, axis=2)
    electron = trk.pdg == 11
    times = segments.time[at[MID] & electron]
    pairs = ak.cartesian({"t": ak.flatten(times, axis=2), "c": events.crv.time}, axis=1)
    dt = pairs.t - pairs.c
    found = {
        "thru_trk": has[FRONT] & has[MID] & has[BACK],
        "is_reco_electron": electron,
        "one_reco_electron": ak.sum(electron, axis=1) == 1,
        "is_downstream": ak.all(~in_tracker | (segments.mom.z > 0), axis=2) & ak.any(in_tracker, axis=2),
        "is_truth_electron": ak.fill_none(ak.any((sim.pdg == t["track_pdg"]) & most, axis=2), False),
        "good_trkqual": trk.qual.result > t["lo_trkqual"],
        "within_t0": every(MID, (segments.time > t["lo_t0_ns"]) & (segments.time < t["hi_t0_ns"])),
        "within_t0err": every(MID, fit.t0err < t["hi_t0err"]),
        "has_hits": trk.nactive > t["lo_nactive"],
        "within_d0": every(FRONT, fit.d0 < t["hi_d0_mm"]),
        "within_pitch_angle_lo": every(FRONT, pitch > t["lo_pitch_angle"]),
        "within_pitch_angle_hi": every(FRONT, pitch < t["hi_pitch_angle"]),
        "within_lhr_max_lo": every(FRONT, fit.maxr > t["lo_maxr_mm"]),
        "within_lhr_max_hi": every(FRONT, fit.maxr < t["hi_maxr_mm"]),
        "within_coinc_start_time": ak.all(events.crv.timeStart > t["lo_crv_start_ns"], axis=1),
        "within_coinc_end_time": ak.all(events.crv.timeEnd < t["hi_crv_end_ns"], axis=1),
        "unvetoed": ~ak.any((dt > t["lo_veto_dt_ns"]) & (dt < t["hi_veto_dt_ns"]), axis=1),
    }
    for window in ("wide", "ext", "sig"):
        low, high = t[f"lo_{window}_win_mevc"], t[f"hi_{window}_win_mevc"]
        found[f"within_{window}_win"] = every(FRONT, (p > low) & (p < high))
    return found


def combined(masks_of: Mapping[str, Any], names: Any, like: Any) -> Any:
    """Return ``[E,T]`` the AND of ``names``."""
    total = ak.ones_like(like, dtype=bool)
    for name in names:
        total = total & masks_of[name]
    return total


def process(events: Any, cutset: Cutset) -> tuple[dict[str, int], dict[str, dict[str, int]], dict[str, hist.Hist]]:
    """Return the cut flow, stage → window → events, and the histograms of one cutset."""
    found = masks(events, cutset.thresholds)
    active = [name for name, on in cutset.active.items() if on and name in found]
    pdg = events.trk.pdg
    flow = {"all": len(events)}
    total = ak.ones_like(pdg, dtype=bool)
    for name in active:
        total = total & found[name]
        flow[name] = int(ak.sum(ak.any(total, axis=1)))
    momentum = {"within_wide_win", "within_ext_win", "within_sig_win"}
    order = list(found)
    select = [name for name in active if name not in momentum | {"unvetoed"}]
    names = {
        "All": [],
        "Preselect": [name for name in active if order.index(name) < PRESELECT],
        "Select": select,
        "Unvetoed": [*select, "unvetoed"],
    }
    hists = {one.name: one.create("bench", STAGES, ("nominal",)) for one in HISTOGRAMS}
    counts: dict[str, dict[str, int]] = {}
    for stage, cuts in names.items():
        passing = combined(found, cuts, pdg)
        chosen = ak.any(passing, axis=1) if cuts else np.ones(len(events), dtype=bool)
        counts[stage] = {"Inclusive": int(ak.sum(chosen))}
        in_windows = passing if cuts else passing & found["is_reco_electron"]
        for window, cut in (("Wide", "wide"), ("Extended", "ext"), ("Signal", "sig")):
            inside = in_windows & found[f"within_{cut}_win"]
            counts[stage][window] = int(ak.sum(ak.any(inside, axis=1)))
        fill(hists, stage, events[chosen], passing[chosen], cutset.thresholds)
    return flow, counts, hists


def fill(hists: dict[str, hist.Hist], stage: str, events: Any, passing: Any, thresholds: Mapping[str, float]) -> None:
    """Fill every histogram of a stage."""
    electrons = events.trk[passing & (events.trk.pdg == 11)]
    front = electrons.segs[electrons.segs.sid == FRONT]
    at_front, at_mid = (electrons.lh[electrons.segs.sid == sid] for sid in (FRONT, MID))
    mid = electrons.segs[electrons.segs.sid == MID]
    p = magnitude(front.mom)
    transverse = np.sqrt(front.mom.x**2 + front.mom.y**2)
    true = electrons.segsmc[electrons.segsmc.sid == FRONT]
    first = ak.fill_none(ak.firsts(magnitude(true.mom), axis=2), np.nan)
    resolution = ak.flatten(p - first, axis=None)
    pairs = ak.cartesian({"t": ak.flatten(mid.time, axis=2), "c": events.crv.time}, axis=1)
    values = {
        "mom_full": p,
        "pdg": events.trk.pdg[passing],
        "sid": front.sid,
        "crv_z": events.crv.pos.z,
        "trkqual": electrons.qual.result,
        "nactive": electrons.nactive,
        "t0": mid.time,
        "t0err": at_mid.t0err,
        "d0": at_front.d0,
        "maxr": at_front.maxr,
        "pitch_angle": front.mom.z / transverse,
        "mom_z": front.mom.z,
        "mom_T": transverse,
        "mom_err": front.momerr,
        "mom_res": resolution[~np.isnan(resolution)],
        "dT": pairs.t - pairs.c,
        "trk_per_event": ak.num(electrons.pdg, axis=1),
        "coinc_start_time": events.crv.timeStart,
        "coinc_end_time": events.crv.timeEnd,
    }
    for name, window in (("mom_wide", "wide"), ("mom_ext", "ext"), ("mom_sig", "sig")):
        low, high = thresholds[f"lo_{window}_win_mevc"], thresholds[f"hi_{window}_win_mevc"]
        values[name] = p[(p > low) & (p < high)]
    for name, one in values.items():
        hists[name].fill("bench", stage, "nominal", ak.to_numpy(ak.flatten(one, axis=None)))
