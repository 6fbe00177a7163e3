"""The benchmarks run, and what they compare is the same physics: on a small file, so that no benchmark rots unseen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mucoffea.toys.cms_nanoaod import ToySpec, generate

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def _benchmarks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path / "cache"))
    yield
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            sys.modules.pop(name)


@pytest.mark.slow
@pytest.mark.usefixtures("_benchmarks")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_both_contestants_have_the_same_variations_and_yields(tmp_path: Path):
    import systematics
    from contestants import dimuon, make_plan, run_ours, run_stock
    from handwritten_systematics import HandwrittenSystematics

    spec = ToySpec(sample="dy", events=6_000, seed=1, content="narrow", basket_events=3_000)
    plan = make_plan(generate(spec, tmp_path / "narrow"), 3_000)
    ours = run_ours(plan, dimuon("all"))
    records = dimuon().eras["demo"].corrections
    files = (str(records[name].path) for name in systematics.FILES)
    peer = run_stock(plan, HandwrittenSystematics(*files, "all"))
    one = systematics.summary(ours.numbers["dy"]["cutflow"], ours.histograms["dy"]["mass"])
    other = systematics.summary(peer["cutflow"], peer["hists"]["mass"])
    assert one["selected"] == other["selected"] > 500
    assert one["sums"] == pytest.approx(other["sums"], rel=1e-9)
    assert len(one["sums"]) == 20
