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
from mucoffea.corrections.crystal_ball import inverse_cdf
from mucoffea.corrections.random_numbers import positions, uniform

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
ONLY = {"mass": ("z", "same_sign"), "mass_spectrum": ("opposite_sign", "sideband")}


FACTORS = {
    "muon_id": "NUM_TightID_DEN_TrackerMuons",
    "muon_iso": "NUM_TightRelIso_DEN_TightIDandIPCut",
    "muon_trigger": "NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight",
}


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
        for variation in self.passes():
            self.one_variation(events, variation, result)
        return {events.metadata["dataset"]: result}

    def passes(self):
        return "nominal", "uncorrected"

    def corrected(self, events, variation):
        """Scale and resolution of the muon POG's Run 3 recipe, with the random numbers of mucoffea."""
        muons = events.Muon
        pt = ak.values_astype(muons.pt, np.float64)
        scale = corrections(self.scale_file)
        m = scale["m_mc"].evaluate(muons.eta, muons.phi, "nom")
        a = scale["a_mc"].evaluate(muons.eta, muons.phi, "nom")
        scaled = 1 / (m / pt + muons.charge * a)
        eta, layers = abs(muons.eta), muons.nTrackerLayers
        poly = [scale["poly_params"].evaluate(eta, layers, i) for i in range(3)]
        mean, width, n, alpha = (scale["cb_params"].evaluate(eta, layers, i) for i in range(4))
        u = uniform(events, stream="muon momentum", index=positions(muons))
        flat = [ak.to_numpy(ak.flatten(x)) for x in (u, mean, width, alpha, n)]
        z = ak.unflatten(inverse_cdf(*flat), ak.num(muons))
        k_mc = scale["k_mc"].evaluate(eta, "nom")
        k = np.sqrt(np.maximum(scale["k_data"].evaluate(eta, "nom") ** 2 - k_mc**2, 0))
        if variation.startswith("muon_resolution"):
            sign = 1 if variation.endswith("Up") else -1
            k = k * (1 + sign * scale["k_mc"].evaluate(eta, "stat") / k_mc)
        smeared = scaled * (1 + k * (poly[0] + poly[1] * scaled + poly[2] * scaled**2) * z)
        if variation.startswith("muon_scale"):
            sign = 1 if variation.endswith("Up") else -1
            dm = scale["m_mc"].evaluate(muons.eta, muons.phi, "stat")
            da = scale["a_mc"].evaluate(muons.eta, muons.phi, "stat")
            rho = scale["m_mc"].evaluate(muons.eta, muons.phi, "rho_stat")
            variance = (dm / smeared) ** 2 + da**2 + 2 * muons.charge * rho * dm / smeared * da
            smeared = smeared + sign * smeared**2 * np.sqrt(np.maximum(variance, 0))
        return ak.with_field(muons, smeared, "pt")

    def one_variation(self, events, variation, result):
        muons = events.Muon if variation == "uncorrected" else self.corrected(events, variation)
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
            "sideband": selection.require(**{**dict.fromkeys(CUTS, True), "mass_window": False}),
        }
        for region, mask in masks.items():
            one, two, both = leading[mask], subleading[mask], dimuon[mask]
            weights = self.weights(events[mask], one, two, variation)
            values = {
                "mass": both.mass,
                "mass_spectrum": both.mass,
                "npvs": events.PV.npvs[mask],
                "pt": both.pt,
                "rapidity": both.rapidity,
                "leading_pt": one.pt,
                "subleading_pt": two.pt,
            }
            for of_weight, weight in weights.items():
                for name, value in values.items():
                    self.fill(result, name, events, region, of_weight, value, weight)
                for name in ("eta", "phi"):
                    for muon in (one, two):
                        self.fill(result, name, events, region, of_weight, muon[name], weight)

    def fill(self, result, name, events, region, variation, value, weight):
        if name not in ONLY or region in ONLY[name]:
            result["hists"][name].fill(
                events.metadata["dataset"], region, variation, ak.drop_none(value), weight=weight
            )

    def weights(self, events, one, two, variation):
        """Variation of the histograms → weights of the events."""
        weights = Weights(len(events))
        weights.add("generator", events.genWeight)
        if variation != "uncorrected":
            self.add_pileup(weights, events)
            for name, muons in (("muon_id", (one, two)), ("muon_iso", (one, two)), ("muon_trigger", (one,))):
                self.add_muons(weights, name, muons)
        return {variation: weights.weight()}

    def add_pileup(self, weights, events):
        pileup = corrections(self.pileup_file)["Collisions18_UltraLegacy_goldenJSON"]
        weights.add("pileup", pileup.evaluate(events.Pileup.nTrueInt, "nominal"))

    def add_muons(self, weights, name, muons):
        weights.add(name, self.factors(name, muons, "nominal"))

    def factors(self, name, muons, variation):
        correction = corrections(self.muon_file)[FACTORS[name]]
        values = [correction.evaluate(ak.drop_none(one.eta), ak.drop_none(one.pt), variation) for one in muons]
        return values[0] if len(values) == 1 else values[0] * values[1]

    def postprocess(self, accumulator):
        pass
