"""Physics closure: known distortions of pseudo-data are undone by the corrections, and only by them."""

from __future__ import annotations

import json

import pytest
from mucoffea.cli import main
from mucoffea.filesets.registry import load_registry
from scipy.stats import chi2


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The report of the main job on a quarter of the demo."""
    folder = tmp_path_factory.mktemp("closure")
    registry = load_registry()
    names = []
    for name, events in (("demo_data", None), ("demo_dy", 120_000), ("demo_ttbar", 8_000), ("demo_zz4l", 4_000)):
        one = registry[name]
        toy = dict(one.toy or {}, files=1) | ({"events": events} if events else {})
        lines = [
            f"name: {name}",
            f"kind: {one.kind}",
            "era: demo",
            f"process: {one.process}",
            f"toy: {json.dumps(toy)}",
        ]
        if one.cross_section:
            lines.append(f"cross_section: {{value: {one.cross_section.pb}, source: the generator}}")
        (folder / f"{name}.yaml").write_text("\n".join(lines), encoding="utf-8")
        names.append(str(folder / f"{name}.yaml"))
    out = folder / "out"
    assert main(["--datasets", *names, "--processor", "cms_dimuon", "--output-dir", str(out), "--no-plots"]) == 0
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "histogram", ["mass", "npvs", "eta", "leading_pt", "subleading_pt", "rapidity", "met", "met_phi"]
)
def test_corrected_simulation_agrees_and_uncorrected_does_not(report: dict, histogram: str):
    (row,) = [row for row in report["agreement"] if (row["histogram"], row["region"]) == (histogram, "z")]
    corrected, uncorrected = row["nominal"], row["uncorrected"]
    assert chi2.sf(corrected["chi2"], corrected["ndf"]) > 1e-3
    assert chi2.sf(uncorrected["chi2"], uncorrected["ndf"]) < 1e-6


def test_the_yield_is_luminosity_times_cross_section(report: dict):
    for one in report["datasets"]:
        assert one["events_processed"] == one["events_planned"]
        if one["kind"] == "mc":
            # All generated events together make L x σ (/fb x pb).
            assert one["scale"] * one["sumw"] == pytest.approx(1000 * report["luminosity"] * one["cross_section"])


def test_everything_left_alone_by_a_correction_is_counted(report: dict):
    for one in report["datasets"]:
        assert set(one["counters"]) == {"out_of_range", "clamped"}
        objects = {"muon_momentum", "electron_energy", "met_xy"}
        weights = {"pileup", "prefiring", *(f"muon_{name}" for name in ("reco", "id", "iso", "trigger"))}
        expected = objects if one["kind"] == "data" else objects | weights | {"electron_reco", "electron_id"}
        assert set(one["counters"]["out_of_range"]) == expected
