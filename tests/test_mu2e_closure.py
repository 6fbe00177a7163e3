"""Closure of the Mu2e chain: what a toy injects comes out of the program, and the intervals cover as they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mucoffea.cli import main
from mucoffea.outputs.exposure_rates import SampleRates, sample_rates
from mucoffea.outputs.intervals import CONFIDENCE, Convention, clopper_pearson, wilson
from mucoffea.outputs.report import SampleExposure
from mucoffea.toys.mu2e_eventntuple import ToySpec, count_experiments, generate, generate_truth

from .support.command_line import run_words

COSMIC = ToySpec(sample="cosmic", events=16_000, seed=31, inefficiency=0.05, enriched=0.3)
CE = ToySpec(sample="ce", events=12_000, seed=32, mix=True)
SURE = Convention(confidence=0.999)


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SampleRates]:
    """Sample → what one run over both files gives."""
    folder = tmp_path_factory.mktemp("closure")
    files = [generate(spec, folder / spec.sample)[0] for spec in (COSMIC, CE)]
    words = run_words(
        files, folder / "out", "--set", "cutsets=[SU2020b]", "--set", "spill='on'", processor="mu2e_cosmic"
    )
    assert main(words) == 0
    found = {}
    for one in json.loads((folder / "out" / "report.json").read_text())["datasets"]:
        stages = one["counters"]["mu2e"]["SU2020b"]["stages"]
        exposure = SampleExposure.model_validate(one["exposure"])
        role = "cosmic" if "cosmic" in one["name"] else "signal"
        found[role] = sample_rates(one["name"], "SU2020b", stages, exposure, SURE, role)
    return found


def test_the_injected_inefficiency(rates: dict[str, SampleRates]):
    inclusive = rates["cosmic"].windows[0]
    assert inclusive.selected > 2_000
    assert inclusive.inefficiency is not None
    assert inclusive.inefficiency.low < COSMIC.expected_inefficiency(-150, 150) < inclusive.inefficiency.high


def test_the_injected_deadtime(rates: dict[str, SampleRates]):
    inclusive = rates["signal"].windows[0]
    assert inclusive.selected > 3_000
    assert inclusive.veto_efficiency is not None
    assert inclusive.veto_efficiency.low < CE.expected_deadtime(-150, 150) < inclusive.veto_efficiency.high


def test_the_selection_efficiency_and_the_exposure(rates: dict[str, SampleRates]):
    """The truth counts single electrons within the cuts; reconstruction moves some across their edges."""
    for spec, one in ((COSMIC, rates["cosmic"]), (CE, rates["signal"])):
        assert one.exposure.generated == spec.generated_events
        assert one.exposure.livetime == (None if spec.livetime is None else pytest.approx(spec.livetime, rel=1e-6))
        fiducial = int(np.count_nonzero(generate_truth(spec).fiducial))
        selected = one.windows[0].selected
        assert one.windows[0].selection_efficiency is not None
        assert one.windows[0].selection_efficiency.value == selected / spec.generated_events
        assert selected == pytest.approx(fiducial, rel=0.05)
    cosmic = rates["cosmic"].windows[0]
    assert cosmic.unscaled is not None
    assert cosmic.unscaled.livetime_days == pytest.approx(COSMIC.livetime / 86400, rel=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("what", "spec", "efficiency"),
    [("inefficiency", COSMIC, 2e-5), ("deadtime", CE, 0.02), ("selection", CE, 0.02)],
)
def test_coverage_over_1000_experiments(what: str, spec: ToySpec, efficiency: float):
    """Wilson limits cover about as often as they say, Clopper–Pearson limits at least as often."""
    found = count_experiments(spec, 1000, efficiency=efficiency, seed=7)
    if what == "selection":
        k, n, truth = found.selected, np.full(1000, found.generated), found.true_efficiency
    elif what == "deadtime":
        k, n, truth = found.selected - found.unvetoed, found.selected, 1 - found.true_unvetoed
    else:
        k, n, truth = found.unvetoed, found.selected, found.true_unvetoed
    cover = {}
    for name, limits in (("wilson", wilson), ("clopper_pearson", clopper_pearson)):
        low, high = limits(k, n)
        cover[name] = float(np.mean((low <= truth) & (truth <= high)))
    print(f"{what}: truth {truth:.4g}, mean {np.mean(k / n):.4g}, coverage {cover}, asked {CONFIDENCE}")
    assert np.mean(k / n) == pytest.approx(truth, abs=4 * np.std(k / n) / np.sqrt(1000))
    # Three standard deviations of the number of experiments, and what discrete counts add.
    assert abs(cover["wilson"] - CONFIDENCE) < 0.06
    assert cover["clopper_pearson"] > CONFIDENCE - 0.045


def test_an_exposure_that_is_not_known_is_no_zero():
    stages = {"Select": {"Inclusive": 10, "Signal": 1}, "Unvetoed": {"Inclusive": 1, "Signal": 0}}
    unknown = SampleExposure.model_validate(
        {"livetime": None, "livetime_source": "x", "generated": None, "generated_source": "x", "on_spill": True,
         "fraction": 1.0}
    )  # fmt: skip
    window = sample_rates("x", "y", stages, unknown, SURE).windows[0]
    assert window.unscaled is window.scaled is window.selection_efficiency is None
