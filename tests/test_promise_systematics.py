"""The first promise with every smearing and systematic on, and what variations must not do to the nominal result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mucoffea import cli
from mucoffea.corrections.systematics import sources
from mucoffea.histograms.storage import read_hdf5
from mucoffea.toys.cms_distortions import write_corrections
from mucoffea.toys.cms_nanoaod import ToySpec, generate

from .support.command_line import run_words, write_dataset
from .support.results import assert_same_result
from .support.runs import products

ANALYSES = ("cms_dimuon", "cms_dielectron", "cms_leptons_jets", "cms_four_lepton")
SLOW = ("cms_dimuon", *(pytest.param(name, marks=pytest.mark.slow) for name in ANALYSES[1:]))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset of 3 000 top pairs in two files, and the folder of its corrections."""
    folder = tmp_path_factory.mktemp("sample")
    files = generate(ToySpec(sample="ttbar", events=3_000, files=2, seed=33, basket_events=500), folder)
    write_corrections(folder / "corrections")
    return write_dataset(folder / "varied.yaml", files, era="demo", process="ttbar"), folder / "corrections"


@pytest.fixture
def words(sample: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of a run over it."""
    dataset, corrections = sample
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(corrections))
    return run_words(dataset, "unset")


def run(words: list[str], out: Path, analysis: str, *more: object) -> Path:
    """Run ``analysis`` into ``out``, which is returned."""
    line = [*words, "--processor", analysis, "--output-dir", str(out), "--no-plots", *(str(word) for word in more)]
    assert cli.main(line) == 0
    return out


def contents(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Variation → histogram → sums of weights and of their squares, of those that have the variation."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, histogram in read_hdf5(folder / "histograms.h5").items():
        for place, variation in enumerate(histogram.axes["variation"]):
            found.setdefault(variation, {})[name] = histogram.view(flow=True)[:, :, place]
    return found


@pytest.mark.parametrize("analysis", SLOW)
def test_the_nominal_result_is_the_same_with_and_without_systematics(words: list[str], tmp_path: Path, analysis: str):
    without = run(words, tmp_path / "none", analysis)
    every = run(words, tmp_path / "all", analysis, "--systematics", "all")
    alone, among = contents(without), contents(every)
    for variation in ("nominal", "uncorrected"):
        one, other = alone[variation], among[variation]
        assert set(one) == set(other) != set()
        for name in one:
            # Bit for bit.
            assert one[name].tobytes() == other[name].tobytes(), (variation, name)
    flows = [json.loads((folder / "cutflow.json").read_text()) for folder in (without, every)]
    assert flows[0] == flows[1]


@pytest.mark.parametrize("analysis", ["cms_dimuon", pytest.param("cms_leptons_jets", marks=pytest.mark.slow)])
def test_every_variation_does_something(words: list[str], tmp_path: Path, analysis: str):
    more = ("--set", "min_jets=1") if analysis == "cms_leptons_jets" else ()
    out = run(words, tmp_path / "all", analysis, "--systematics", "all", *more)
    found = contents(out)
    names = set(found) - {"nominal", "uncorrected"}
    assert len(names) > 40
    nominal = found["nominal"]
    idle = {
        variation
        for variation in names
        if all(np.array_equal(view, nominal[name]) for name, view in found[variation].items())
    }
    # Members that the toy's set of parton densities does not have.
    absent = {name for name in idle if name.startswith("pdf")}
    assert idle == absent, idle - absent
    assert len({name for name in names if name.startswith("pdf")} - absent) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("analysis", ANALYSES)
def test_chunk_size_and_executor_change_nothing_with_all_systematics(words: list[str], tmp_path: Path, analysis: str):
    whole = run(words, tmp_path / "whole", analysis, "--systematics", "all", "--chunksize", 1_000_000)
    in_full = analysis == "cms_dimuon"
    for chunksize in (97, 700) if in_full else (700,):
        out = run(words, tmp_path / str(chunksize), analysis, "--systematics", "all", "--chunksize", chunksize)
        # Counts exact, weighted sums to 1e-12.
        assert_same_result(whole, out, tolerance=1e-12)
    expected = products(out)
    for executor in ("futures", "dask-local") if in_full else ("futures",):
        more = ("--chunksize", 700, "--executor", executor, "--workers", 2)
        assert products(run(words, tmp_path / executor, analysis, "--systematics", "all", *more)) == expected


@pytest.mark.slow
def test_every_declared_variation_is_filled(words: list[str], tmp_path: Path):
    out = run(words, tmp_path / "all", "cms_dimuon", "--systematics", "all", "--chunksize", "700")
    found = contents(out)
    for variation, histograms in found.items():
        for name, view in histograms.items():
            nominal, sums = (one["value"].sum(axis=-1) for one in (found["nominal"][name], view))
            # Of electrons in events of two muons, say: the nominal weight, not nothing.
            assert np.all((sums > 0.5 * nominal) | (nominal < 1000)), (name, variation)


def test_a_source_is_refused_by_name(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = [*words, "--processor", "cms_dimuon", "--output-dir", str(tmp_path / "out")]
    assert cli.main([*line, "--systematics", "pileupp"]) == 1
    assert "Did you mean 'pileup'?" in capsys.readouterr().err
    assert cli.main([*line, "--systematics", "jet_energy_scale"]) == 1
    assert "belongs to the correction 'jet_energy'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_variations_are_called_up_and_down():
    for one in sources().values():
        assert one.members or one.variations == (f"{one.name}Up", f"{one.name}Down")
    every = [name for one in sources().values() for name in one.variations]
    assert len(every) == len(set(every))
