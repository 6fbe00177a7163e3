"""The peer of the benchmark of systematics: the same variations as a user of plain coffea writes them.

Every shape variation is another pass of :class:`handwritten.HandwrittenDimuon`; every weight variation is a modifier of
coffea's ``Weights``, with which all histograms are filled again.
"""

from __future__ import annotations

from coffea.analysis_tools import Weights
from handwritten import HandwrittenDimuon, corrections

SHAPES = ("muon_scale", "muon_resolution")


class HandwrittenSystematics(HandwrittenDimuon):
    """The dimuon analysis with systematics, by hand; ``systematics`` is none, weights or all."""

    def __init__(self, muon_file: str, scale_file: str, pileup_file: str, systematics: str) -> None:
        super().__init__(muon_file, scale_file, pileup_file)
        self.systematics = systematics

    def passes(self):
        varied = tuple(f"{name}{way}" for name in SHAPES for way in ("Up", "Down"))
        return ("nominal", "uncorrected", *(varied if self.systematics == "all" else ()))

    def weights(self, events, one, two, variation):
        if variation != "nominal" or self.systematics == "none":
            return super().weights(events, one, two, variation)
        weights = Weights(len(events))
        weights.add("generator", events.genWeight)
        pileup = corrections(self.pileup_file)["Collisions18_UltraLegacy_goldenJSON"]
        weights.add("pileup", *(pileup.evaluate(events.Pileup.nTrueInt, kind) for kind in ("nominal", "up", "down")))
        for name, muons in (("muon_id", (one, two)), ("muon_iso", (one, two)), ("muon_trigger", (one,))):
            weights.add(name, self.factors(name, muons, "nominal"))
            for part in ("stat", "syst"):
                # Ones, and the ratio of the varied factor to the nominal one.
                nominal = self.factors(name, muons, "nominal")
                up, down = (self.shifted(name, muons, part, sign) / nominal for sign in (1, -1))
                weights.add(f"{name}_{part}", nominal / nominal, up, down)
        found = {"nominal": weights.weight()}
        return found | {name: weights.weight(name) for name in sorted(weights.variations)}

    def shifted(self, name, muons, part, sign):
        product = 1.0
        for muon in muons:
            product = product * (self.factors(name, (muon,), "nominal") + sign * self.factors(name, (muon,), part))
        return product
