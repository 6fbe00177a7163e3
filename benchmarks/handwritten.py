"""The peer of the narrow benchmark: the dimuon physics as a user of plain coffea writes it.

Same events, cuts, corrections, variations, histograms and cut flow as ``cms_dimuon``, in the idiom of coffea's own
examples (records of NanoEvents, vector sums, correctionlib called directly), on the stock ``Runner``.
"""

from __future__ import annotations

from functools import lru_cache

import awkward as ak
import correctionlib
import hist
import numpy as np
from coffea.analysis_tools import PackedSelection, Weights
from coffea.processor import ProcessorABC

CUTS = ["trigger", "two_muons", "leading_pt", "trigger_match", "opposite_sign", "mass_window"]
AXES = {
    "mass": hist.axis.Regular(60, 60, 120, name="mass"),
    "mass_spectrum": hist.axis.Regular(60, 10, 250, name="mass_spectrum"),
    "npvs": hist.axis.Regular(80, 0, 80, name="npvs"),
    "pt": hist.axis.Regular(50, 0, 200, name="pt"),
    "rapidity": hist.axis.Regular(48, -2.4, 2.4, name="rapidity"),
    "leading_pt": hist.axis.Regular(62, 26, 150, name="leading_pt"),
    "subleading_pt": hist.axis.Regular(50, 20, 120, name="subleading_pt"),
    "eta": hist.axis.Regular(48, -2.4, 2.4, name="eta"),
    "phi": hist.axis.Regular(32, -np.pi, np.pi, name="phi"),
}
ONLY = {"mass": ("z", "same_sign"), "mass_spectrum": ("opposite_sign",)}


@lru_cache
def corrections(path: str) -> correctionlib.CorrectionSet:
    return correctionlib.CorrectionSet.from_file(path)


class HandwrittenDimuon(ProcessorABC):
    """The dimuon analysis, by hand."""

    def __init__(self, muon_file: str, scale_file: str, pileup_file: str) -> None:
        self.muon_file, self.scale_file, self.pileup_file = muon_file, scale_file, pileup_file

    def process(self, events):
        categories = [hist.axis.StrCategory([], growth=True, name=name) for name in ("dataset", "region", "variation")]
        hists = {name: hist.Hist(*categories, axis, storage="Weight") for name, axis in AXES.items()}
        result = {"sumw": ak.sum(events.genWeight), "hists": hists}
        for variation in ("nominal", "uncorrected"):
            self.one_variation(events, variation, result)
        return {events.metadata["dataset"]: result}

    def one_variation(self, events, variation, result):
        muons = events.Muon
        if variation == "nominal":
            scale = corrections(self.scale_file)
            m = scale["m_mc"].evaluate(muons.eta, muons.phi, "nom")
            a = scale["a_mc"].evaluate(muons.eta, muons.phi, "nom")
            muons = ak.with_field(muons, 1 / (m / muons.pt + muons.charge * a), "pt")
        good = muons[
            (muons.pt > 20)
            & (abs(muons.eta) < 2.4)
            & muons.tightId
            & (muons.pfRelIso04_all < 0.15)
            & (abs(muons.dxy) < 0.2)
            & (abs(muons.dz) < 0.5)
        ]
        good = good[ak.argsort(good.pt, ascending=False)]
        pairs = ak.pad_none(good, 2)
        leading, subleading = pairs[:, 0], pairs[:, 1]
        dimuon = leading + subleading
        objects = events.TrigObj[(events.TrigObj.id == 13) & ((events.TrigObj.filterBits & 2) == 2)]
        nearest = ak.fill_none(ak.min(leading.delta_r(objects), axis=1), 99.0)

        selection = PackedSelection()
        selection.add("trigger", events.HLT.IsoMu24)
        selection.add("two_muons", ak.num(good) >= 2)
        selection.add("leading_pt", ak.fill_none(leading.pt > 26, False))
        selection.add("trigger_match", nearest < 0.1)
        selection.add("opposite_sign", ak.fill_none(dimuon.charge == 0, False))
        selection.add("mass_window", ak.fill_none((dimuon.mass > 60) & (dimuon.mass < 120), False))
        if variation == "nominal":
            flow = {}
            for stop in range(len(CUTS)):
                kept = events.genWeight[selection.all(*CUTS[: stop + 1])]
                others = selection.all(*(cut for cut in CUTS if cut != CUTS[stop]))
                flow[CUTS[stop]] = {
                    "n": len(kept),
                    "sumw": ak.sum(kept),
                    "sumw2": ak.sum(kept**2),
                    "n_minus_one": int(others.sum()),
                }
            result["cutflow"] = flow
        masks = {
            "z": selection.all(*CUTS),
            "opposite_sign": selection.all(*CUTS[:-1]),
            "same_sign": selection.require(**{**dict.fromkeys(CUTS, True), "opposite_sign": False}),
        }
        for region, mask in masks.items():
            one, two, both = leading[mask], subleading[mask], dimuon[mask]
            weight = self.weight(events[mask], one, two, variation)
            values = {
                "mass": both.mass,
                "mass_spectrum": both.mass,
                "npvs": events.PV.npvs[mask],
                "pt": both.pt,
                "rapidity": both.rapidity,
                "leading_pt": one.pt,
                "subleading_pt": two.pt,
            }
            for name, value in values.items():
                self.fill(result, name, events, region, variation, value, weight)
            for name in ("eta", "phi"):
                for muon in (one, two):
                    self.fill(result, name, events, region, variation, muon[name], weight)

    def fill(self, result, name, events, region, variation, value, weight):
        if name not in ONLY or region in ONLY[name]:
            result["hists"][name].fill(
                events.metadata["dataset"], region, variation, ak.drop_none(value), weight=weight
            )

    def weight(self, events, one, two, variation):
        weights = Weights(len(events))
        weights.add("generator", events.genWeight)
        if variation == "nominal":
            pileup = corrections(self.pileup_file)["Collisions18_UltraLegacy_goldenJSON"]
            weights.add("pileup", pileup.evaluate(events.Pileup.nTrueInt, "nominal"))
            muon_z = corrections(self.muon_file)
            for name in ("NUM_TightID_DEN_TrackerMuons", "NUM_TightRelIso_DEN_TightIDandIPCut"):
                for muon in (one, two):
                    eta, pt = ak.drop_none(muon.eta), ak.drop_none(muon.pt)
                    weights.add(f"{name}{0 if muon is one else 1}", muon_z[name].evaluate(eta, pt, "nominal"))
            trigger = muon_z["NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight"]
            weights.add("trigger", trigger.evaluate(ak.drop_none(one.eta), ak.drop_none(one.pt), "nominal"))
        return weights.weight()

    def postprocess(self, accumulator):
        pass
