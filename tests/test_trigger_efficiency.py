"""Trigger efficiencies by tag and probe: from pairs to the correction file, its use, and the toy's known truth."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pytest
import yaml
from mucoffea import cli
from mucoffea.cli.trigger_efficiency import command as trigger_efficiency
from mucoffea.cli.trigger_efficiency import study
from mucoffea.corrections.trigger_efficiency import MuonTrigger, trigger_weight
from mucoffea.errors import UserError
from mucoffea.outputs import efficiency
from mucoffea.outputs.bundle import read_bundle
from mucoffea.outputs.efficiency import Counts, Study
from mucoffea.processors.cms_trigger_efficiency import (
    ETA_EDGES,
    PT_EDGES,
    TriggerEfficiency,
    TriggerEfficiencyParameters,
    probes,
)
from mucoffea.selections.flat import FlatCollection
from mucoffea.selections.pairs import leading_pair
from mucoffea.toys.cms_distortions import scale_factor
from scipy import stats

from .support.command_line import run_words

SHAPE = (len(ETA_EDGES) - 1, len(PT_EDGES) - 1)


def counts(value: float) -> Counts:
    return Counts(np.full(SHAPE, value), np.full(SHAPE, value))


def test_both_muons_are_probes_where_both_are_tags() -> None:
    muons = ak.zip(
        {
            "pt": [[50.0, 40.0], [50.0, 40.0], [50.0, 40.0]],
            "eta": [[0.1, -1.0], [0.1, -1.0], [0.1, -2.2]],
            "phi": [[0.0, 3.0], [0.0, 3.0], [0.0, 3.0]],
            "mass": [[0.1, 0.1]] * 3,
            "charge": [[1, -1], [1, -1], [1, 1]],
        }
    )
    pair = leading_pair(FlatCollection(muons), np.ones(6, dtype=bool))
    is_tag = np.array([[True, True, False], [True, False, True]])
    found = probes(pair, is_tag, passing=np.array([[True, True, False], [True, False, True]]))
    rows = sorted(zip(*(column.tolist() for column in found), strict=True))
    expected = [(0, 40.0, 1.0, True, False), (0, 50.0, 0.1, True, False), (1, 40.0, 1.0, False, False)]
    expected.append((2, 50.0, 0.1, False, True))
    assert [row[0] for row in rows] == [row[0] for row in expected]
    np.testing.assert_allclose(np.array(rows, float), np.array(expected, float))


def test_probe_passes_by_bits_and_pt_of_its_object() -> None:
    muon = {"pt": 40.0, "mass": 0.1, "charge": 1}
    muons = ak.Array([[{**muon, "eta": 0.1, "phi": 0.0}, {**muon, "pt": 30.0, "eta": -1.0, "phi": 3.0}]])
    objects = ak.Array(
        [
            [
                {"pt": 40.0, "eta": 0.1, "phi": 0.0, "id": 13, "filterBits": 2},
                {"pt": 22.0, "eta": -1.0, "phi": 3.0, "id": 13, "filterBits": 10},
            ]
        ]
    )
    pair = leading_pair(FlatCollection(muons), np.ones(2, dtype=bool))
    events = ak.zip({"TrigObj": objects}, depth_limit=1)

    def passing(**chosen: float) -> list[list[bool]]:
        found: list[list[bool]] = (
            TriggerEfficiency(TriggerEfficiencyParameters(**chosen)).passing(pair, events).tolist()
        )  # type: ignore[arg-type]
        return found

    assert passing() == [[True], [True]]
    assert passing(probe_min_object_pt=24.0) == [[True], [False]]
    assert passing(probe_filter_bits=8) == [[False], [True]]


def test_data_have_clopper_pearson_limits() -> None:
    """8 of 10: the exact central 68.27 % interval, from the quantiles of the beta distribution."""
    found = efficiency.efficiency(counts(8.0), counts(10.0))
    tail = (1 - 0.6827) / 2
    assert found.value[0, 0] == 0.8
    np.testing.assert_allclose(found.low, stats.beta.ppf(tail, 8, 3))
    np.testing.assert_allclose(found.high, stats.beta.ppf(1 - tail, 9, 2))


def test_limits_of_weighted_probes_are_those_of_the_effective_number() -> None:
    """All weights doubled change nothing; weights of both signs widen the limits."""
    one = efficiency.efficiency(counts(80.0), counts(100.0))
    doubled = efficiency.efficiency(*(Counts(2 * c.weight, 4 * c.squares) for c in (counts(80.0), counts(100.0))))
    np.testing.assert_allclose(np.array(one), np.array(doubled))
    signed = efficiency.efficiency(
        Counts(np.array([80.0]), np.array([160.0])), Counts(np.array([100.0]), np.array([200.0]))
    )
    assert signed.high[0] - signed.low[0] > 1.3 * (one.high - one.low)[0, 0]


def test_same_sign_pairs_are_subtracted() -> None:
    found = efficiency.efficiency(counts(82.0).minus(counts(2.0)), counts(120.0).minus(counts(20.0)))
    np.testing.assert_allclose(found.value, 0.8)


def test_empty_bins_are_said_and_take_the_nearest() -> None:
    every, passing = counts(100.0), counts(50.0)
    passing.weight[1, 3] = 80.0
    for one in (*every, *passing):
        one[1, 4:] = 0.0
    measured = efficiency.efficiency(passing, every)
    found = Study(measured, measured, efficiency.ratio(measured, measured), ETA_EDGES, PT_EDGES)
    assert efficiency.empty_bins(measured, found)[0] == "0.9<|eta|<1.2 30<pt<40"
    sets = efficiency.correction_set(found, "path", "test")
    assert "0.9<|eta|<1.2 30<pt<40" in str(sets.corrections[0].description)
    read = correctionlib.CorrectionSet.from_string(sets.model_dump_json(exclude_unset=True))
    assert read["path_data"].evaluate(1.0, 150.0, "nominal") == 0.8
    assert read["path_data"].evaluate(1.0, 150.0, "stat") == 1.0
    assert read["path_sf"].evaluate(0.5, 150.0, "nominal") == 1.0


def test_bin_of_eta_without_probes_is_refused() -> None:
    measured = efficiency.efficiency(counts(0.0), counts(0.0))
    found = Study(measured, measured, measured, ETA_EDGES, PT_EDGES)
    with pytest.raises(UserError, match="no probes at all for 'data'"):
        efficiency.correction_set(found, "path", "test")


def test_trigger_scale_factor_is_not_applied_to_its_own_measurement() -> None:
    with pytest.raises(UserError, match="this analysis measures it"):
        TriggerEfficiency(TriggerEfficiencyParameters(corrections=("pileup", "muon_trigger")))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trigger")
    toys = {
        "probe_data": {"kind": "data", "toy": {"sample": "data", "seed": 7, "luminosity": 12.0}},
        "probe_dy": {
            "kind": "mc",
            "cross_section": {"value": 6077.22, "unit": "pb", "source": "this test"},
            "toy": {"sample": "dy", "seed": 3, "events": 60_000},
        },
    }
    paths = []
    for name, content in toys.items():
        paths.append(folder / f"{name}.yaml")
        common = {"name": name, "experiment": "cms", "era": "demo", "process": name}
        paths[-1].write_text(yaml.safe_dump({**common, **content}))
    assert cli.main(run_words(paths, folder / "result", processor="cms_trigger_efficiency")) == 0
    return folder / "result"


@pytest.fixture(scope="module")
def file(result: Path) -> Path:
    path = result.parent / "trigger.json"
    plots = ["--plots", str(result.parent / "plots")]
    assert trigger_efficiency(["trigger-efficiency", str(result), "--output", str(path), *plots]) == 0
    return path


def test_scale_factor_is_that_of_the_toy(result: Path) -> None:
    """χ² of the pulls in the bins above the threshold, where the toy's payload has a scale factor."""
    found = study(read_bundle(result)).scale_factor
    first = PT_EDGES.index(26.0)
    eta, pt = (0.5 * (np.array(edges)[1:] + np.array(edges)[:-1]) for edges in (ETA_EDGES, PT_EDGES))
    places = np.meshgrid(eta, pt[first:], indexing="ij")
    truth = scale_factor("trigger", places[0].ravel(), places[1].ravel()).reshape(places[0].shape)
    chosen = found.error[:, first:] < 0.1
    pulls = ((found.value[:, first:] - truth) / found.error[:, first:])[chosen]
    chi2 = float((pulls**2).sum())
    assert len(pulls) >= 15
    assert stats.chi2.ppf(0.002, len(pulls)) < chi2 < stats.chi2.ppf(0.998, len(pulls)), (chi2, len(pulls))
    # It is not 1, by far.
    assert (((found.value[:, first:] - 1) / found.error[:, first:])[chosen] ** 2).sum() > 3 * len(pulls)


def test_file_is_what_event_weights_read(file: Path) -> None:
    """One muon in an event: the weight is the scale factor of the file."""
    read = correctionlib.CorrectionSet.from_file(str(file))
    assert set(read) == {f"HLT_IsoMu24_{key}" for key in ("data", "mc", "sf")}
    weight = trigger_weight(MuonTrigger(file=file, single="HLT_IsoMu24"), np.array([[45.0]]), np.array([[-0.4]]))
    np.testing.assert_allclose(weight.nominal, read["HLT_IsoMu24_sf"].evaluate(0.4, 45.0, "nominal"))
    error = weight.variations["muon_trigger_statUp"] - weight.nominal
    np.testing.assert_allclose(error, read["HLT_IsoMu24_sf"].evaluate(0.4, 45.0, "stat"), rtol=0.2)


def test_command_draws_and_does_not_overwrite(result: Path, file: Path) -> None:
    assert len(list((result.parent / "plots").glob("HLT_IsoMu24_eta*.png"))) == SHAPE[0]
    with pytest.raises(UserError, match="there already"):
        trigger_efficiency(["trigger-efficiency", str(result), "--output", str(file)])


def test_other_results_are_refused(first_result: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The result has no data"):
        trigger_efficiency(["trigger-efficiency", str(first_result), "--output", str(tmp_path / "x.json")])
