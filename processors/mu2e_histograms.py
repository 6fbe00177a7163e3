"""The 22 histograms of the Mu2e cosmic background analysis, and their entries at a stage of the selection.

Entries are *electron fits* that pass the stage; ``pdg`` alone has all hypotheses, and coincidence times and positions
all coincidences of the selected events. A track that crosses a surface twice enters twice: events are counted by masks,
never from histograms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..histograms.filler import Filler
from ..histograms.specification import Histogram
from ..selections.mu2e_arrays import Mask, Numbers
from ..selections.mu2e_cuts import Chunk

P = "$p$ at the tracker entrance"
MEV = "MeV/c"
#: Whole numbers have bins of width one around them.
HISTOGRAMS = (
    Histogram(name="mom_full", label=P, unit=MEV, bins=200, start=0, stop=1000),
    Histogram(name="mom_wide", label=P, unit=MEV, bins=115, start=85, stop=200),
    Histogram(name="mom_ext", label=P, unit=MEV, bins=20, start=100, stop=110),
    Histogram(name="mom_sig", label=P, unit=MEV, bins=20, start=103.6, stop=104.9),
    Histogram(name="pdg", label="PDG code of the fit, all hypotheses", bins=41, start=-20.5, stop=20.5),
    Histogram(name="sid", label="surface id", bins=51, start=-0.5, stop=50.5),
    Histogram(name="crv_z", label="$z$ of the coincidence", unit="mm", bins=100, start=-15000, stop=10000),
    # The last bin holds a quality of exactly 1.
    Histogram(name="trkqual", label="track quality", bins=101, start=0, stop=1.01),
    Histogram(name="nactive", label="active hits", bins=101, start=-0.5, stop=100.5),
    Histogram(name="t0", label="$t_0$ in the tracker middle", unit="ns", bins=1400, start=400, stop=1800),
    Histogram(name="t0err", label=r"$\sigma_{t_0}$", unit="ns", bins=500, start=0, stop=5),
    Histogram(name="d0", label="$d_0$", unit="mm", bins=40, start=0, stop=200),
    Histogram(name="maxr", label=r"$R_\mathrm{max}$", unit="mm", bins=170, start=150, stop=1000),
    Histogram(name="pitch_angle", label="$p_z/p_T$", bins=400, start=-1, stop=3),
    Histogram(name="mom_z", label="$p_z$", unit=MEV, bins=125, start=-25, stop=100),
    Histogram(name="mom_T", label="$p_T$", unit=MEV, bins=200, start=0, stop=200),
    Histogram(name="mom_err", label=r"$\sigma_p$", unit=MEV, bins=120, start=0, stop=3),
    Histogram(name="mom_res", label=r"$p - p_\mathrm{true}$", unit=MEV, bins=140, start=-5, stop=2),
    Histogram(name="dT", label="track time - CRV time", unit="ns", bins=500, start=-200, stop=300),
    Histogram(name="trk_per_event", label="electron fits per event", bins=6, start=-0.5, stop=5.5),
    Histogram(name="coinc_start_time", label="start of the coincidence", unit="ns", bins=100, start=0, stop=2000),
    Histogram(name="coinc_end_time", label="end of the coincidence", unit="ns", bins=100, start=0, stop=2000),
)
NOMINAL = "nominal"
#: Histogram → the quantity at the entrance, or in the middle, of which it is filled.
_AT_FRONT = {
    "mom_full": "p",
    "d0": "d0",
    "maxr": "maxr",
    "pitch_angle": "pitch",
    "mom_z": "pz",
    "mom_T": "pt",
    "mom_err": "momerr",
}
_AT_MID = {"t0": "time", "t0err": "t0err"}
_OF_COINCIDENCES = {"crv_z": "pos.z", "coinc_start_time": "timeStart", "coinc_end_time": "timeEnd"}
_WINDOWS = {"mom_wide": "wide", "mom_ext": "ext", "mom_sig": "sig"}
_NOTHING = np.zeros(0)


def entries(chunk: Chunk, objects: Mask, events: Mask, thresholds: Mapping[str, float]) -> dict[str, Numbers]:
    """Return histogram → its entries.

    Args:
        chunk: reduced tracks and coincidences.
        objects: tracks [T] that pass.
        events: events [E] that pass.
        thresholds: of the cutset; the three windows in momentum are its own.
    """
    tracks, coincidences = chunk.tracks, chunk.coincidences
    electrons = objects & tracks.electron
    front, mid = tracks.front, tracks.mid
    at_front, at_mid = electrons[front.track], electrons[mid.track]
    found = {"pdg": tracks.pdg[objects], "trkqual": tracks.quality[electrons], "nactive": tracks.nactive[electrons]}
    found |= {name: front.values.get(key, np.zeros(len(at_front)))[at_front] for name, key in _AT_FRONT.items()}
    found |= {name: mid.values[key][at_mid] for name, key in _AT_MID.items()}
    if "maxr" not in front.values:
        found["maxr"] = _NOTHING
    p = found["mom_full"]
    for name, window in _WINDOWS.items():
        low, high = (thresholds[f"{end}_{window}_win_mevc"] for end in ("lo", "hi"))
        found[name] = p[(p > low) & (p < high)]
    resolution = p - tracks.true_momentum[at_front]
    found["mom_res"] = resolution[np.isfinite(resolution)]
    found["sid"] = np.zeros(np.count_nonzero(at_front))
    found["dT"] = chunk.pairs.dt[electrons[mid.track[chunk.pairs.crossing]]]
    found["trk_per_event"] = np.bincount(tracks.event[electrons], minlength=len(events))[events]
    of_event = events[coincidences.event]
    for name, quantity in _OF_COINCIDENCES.items():
        found[name] = coincidences[quantity][of_event] if quantity in coincidences else _NOTHING
    return found


class StageFiller:
    """Fill the histograms of one dataset, one region a stage.

    Two cutsets that agree in what a stage asks have the same histograms there: these are filled once and copied.
    """

    def __init__(self, dataset: str, regions: tuple[str, ...]) -> None:
        self._dataset = dataset
        self.histograms = Filler(HISTOGRAMS, dataset, regions=regions).histograms
        self._filled: dict[object, str] = {}

    def fill(
        self,
        region: str,
        same: object,
        chunk: Chunk,
        objects: Mask,
        events: Mask,
        thresholds: Mapping[str, float],
    ) -> None:
        """Fill ``region`` with :func:`entries`; regions with the same ``same`` have the same entries."""
        if same in self._filled:
            self._copy(self._filled[same], region)
            return
        for name, values in entries(chunk, objects, events, thresholds).items():
            self.histograms[name].fill(self._dataset, region, NOMINAL, values)
        self._filled[same] = region

    def _copy(self, source: str, target: str) -> None:
        for histogram in self.histograms.values():
            view = histogram.view(flow=True)
            axis = histogram.axes["region"]
            view[:, axis.index(target)] = view[:, axis.index(source)]
