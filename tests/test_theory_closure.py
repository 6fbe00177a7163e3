"""From the generator weights of a real file to shifts of a result: rates cancel, shapes stay."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoEventsFactory
from mucoffea.cli.report import _sources
from mucoffea.corrections import systematics
from mucoffea.corrections.theory_weights import parton_shower, pdf, qcd_scale
from mucoffea.histograms.filler import Filler
from mucoffea.histograms.specification import Histogram
from mucoffea.outputs.bundle import Bundle
from mucoffea.outputs.luminosity import EraLuminosity
from mucoffea.outputs.normalisation import FileSum
from mucoffea.outputs.parts import add_numbers
from mucoffea.outputs.report import Sample, dataset_report
from mucoffea.outputs.systematics import shift, sources, total_band, yields
from mucoffea.schemas.nanoaod import NanoAOD

from .support.varied_result import report

NAMES = ("ps_isr", "ps_fsr", "qcd_scale", "pdf", "pdf_alphas")
REGIONS = ("all", "hard")
LUMINOSITY, CROSS_SECTION = 10.0, 2.0


class Analysed:
    """The sums and histograms of a file, in chunks."""

    def __init__(self, events: ak.Array, chunks: int) -> None:
        declared = [systematics.sources()[name] for name in NAMES]
        self.numbers: dict = {}
        observable = Histogram(name="ht", label="HT", unit="GeV", bins=4, start=0, stop=200)
        self.filler = Filler([observable], "dy", regions=REGIONS, variations=systematics.variations(declared))
        for rows in np.array_split(np.arange(len(events)), chunks):
            self.add(events[rows])

    def add(self, events: ak.Array) -> None:
        generator = ak.to_numpy(events.genWeight).astype(np.float64)
        found = {}
        for factor in (
            parton_shower(events.PSWeight, run=2),
            qcd_scale(events.LHEScaleWeight),
            pdf(events.LHEPdfWeight),
        ):
            found |= {name: one for name, one in factor.variations.items() if "replicas" not in name}
        sums = {name: float((generator * one).sum()) for name, one in found.items()}
        add_numbers(self.numbers, {"sumw": float(generator.sum()), "sumw_variations": sums})
        ht = ak.to_numpy(ak.sum(events.Jet.pt, axis=1))
        for region, passed in (("all", np.ones(len(ht), bool)), ("hard", ht > 30)):
            weights = {"nominal": generator, **{name: generator * one for name, one in found.items()}}
            for name, weight in weights.items():
                self.filler.fill({"ht": ht[passed]}, region=region, variation=name, weight=weight[passed])

    def bundle(self, n_events: int) -> Bundle:
        file = FileSum(lfn="dy", entries=n_events, processed=n_events, planned=n_events)
        fields = {"name": "dy", "kind": "mc", "process": "dy", "label": "dy", "era": "2018"}
        sample = Sample(**fields, cross_section=CROSS_SECTION, inputs=(file,), files_available=1)
        one = dataset_report(sample, EraLuminosity(era="2018", value=LUMINOSITY), self.numbers, allow_partial=False)
        declared = [systematics.sources()[name] for name in NAMES]
        fake = type("Varied", (), {"eras": {"2018": None}, "systematics": staticmethod(lambda era: declared)})
        return Bundle(report([one], _sources(fake)), self.filler.histograms, {})


@pytest.fixture(scope="module")
def events(real: Path) -> ak.Array:
    file = {str(real / "nanoaod" / "nano_dy.root"): "Events"}
    return NanoEventsFactory.from_root(file, schemaclass=NanoAOD, mode="virtual").events()


pytestmark = pytest.mark.filterwarnings("ignore:Branch .* already exists:RuntimeWarning")


def test_without_selection_every_variation_has_the_rate_of_the_cross_section(events: ak.Array):
    made = Analysed(events, 1).bundle(len(events))
    found = yields(made, "ht", "all")
    expected = LUMINOSITY * 1000 * CROSS_SECTION
    assert len(found.varied) == 1 + 4 + 6 + 100 + 2
    for variation, values in found.varied.items():
        assert values.sum() == pytest.approx(expected, rel=1e-12), variation
    # Summed with Σw of the nominal weights they would not: the QCD scales alone move the rate by 4.7 %.
    raw = made.histograms["ht"][{"dataset": "dy", "region": "all", "variation": "qcd_scaleMuRDown"}]
    assert abs(raw.values(flow=True).sum() * made.report.datasets[0].scale / expected - 1) > 0.04


def test_shapes_stay(events: ak.Array):
    made = Analysed(events, 1).bundle(len(events))
    found = yields(made, "ht", "hard")
    scales, generator = ak.to_numpy(events.LHEScaleWeight).astype(np.float64), ak.to_numpy(events.genWeight)
    weights = scales / scales[:, 4:5]
    hard = ak.to_numpy(ak.sum(events.Jet.pt, axis=1)) > 30
    acceptance = (generator[:, None] * weights)[hard].sum(axis=0) / (generator[:, None] * weights).sum(axis=0)
    points = acceptance[[0, 1, 3, 4, 5, 7, 8]] * LUMINOSITY * 1000 * CROSS_SECTION
    (source,) = (one for one in sources(made.report) if one.name == "qcd_scale")
    moved = shift(found, source, made.report)
    # One bin holds the region if its bins are added before the envelope; bin by bin it can only be wider.
    assert moved.up.sum() >= points.max() - points[3] - 1e-9
    assert moved.down.sum() <= points.min() - points[3] + 1e-9
    up, down = total_band(made, "ht", "hard")
    assert (up >= moved.up[1:-1] - 1e-9).all()
    assert (down >= -moved.down[1:-1] - 1e-9).all()


def test_chunks_do_not_matter(events: ak.Array):
    one, many = (Analysed(events, chunks).bundle(len(events)) for chunks in (1, 7))
    scales, others = (made.report.datasets[0].scale_variations for made in (one, many))
    assert scales.keys() == others.keys()
    for name, value in scales.items():
        assert others[name] == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(
        one.histograms["ht"].values(flow=True), many.histograms["ht"].values(flow=True), rtol=1e-12, atol=1e-9
    )
