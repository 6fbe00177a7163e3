"""What the command line says of itself: help with examples, lists, fast answers, and toys of any size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uproot
from mucoffea import cli
from mucoffea.cli import arguments
from mucoffea.filesets.eras import load_eras
from mucoffea.filesets.registry import load_registry
from mucoffea.processors import ANALYSES
from mucoffea.toys.cms_nanoaod import DEMO_CROSS_SECTIONS

MAIN = Path(__file__).parents[1] / "main.py"
COMMANDS = ("run", "check", "list", "plot", "explain", "rerun", "toy")
#: Packages that take long to import and that neither the help nor the name ``mucoffea`` needs.
HEAVY = ("coffea", "awkward", "uproot", "hist", "matplotlib", "numba", "scipy", "pandas", "dask", "pyarrow", "numpy")

Output = Callable[..., tuple[int, str, str]]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Output:
    """Run the command line in this process on a wide terminal; also ``SystemExit`` is an exit code."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as error:  # argparse after --help
            code = int(error.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def seconds(*command: str) -> float:
    """Return the wall time of a program, the best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=60)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize(
    "words",
    [
        (str(MAIN), "--help"),
        *((str(MAIN), name, "--help") for name in COMMANDS),
        ("-c", "import mucoffea"),
        ("-c", "import mucoffea.cli, mucoffea.filesets.models"),
    ],
)
def test_help_and_import_answer_within_a_second(words: tuple[str, ...]):
    assert seconds(*words) < 1.0


@pytest.mark.parametrize(
    "words",
    [["--help"], ["run", "--help"], ["check", "--help"], ["list", "--help"], ["plot", "--help"], ["toy", "--help"], []],
)
def test_help_imports_nothing_heavy(words: list[str]):
    program = (
        "import sys, mucoffea, mucoffea.cli\n"
        f"words = {words!r}\n"
        "try:\n    mucoffea.cli.main(words) if words else None\n"
        "except SystemExit as error:\n    assert not error.code\n"
        f"found = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(f'imported: {found}' if found else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_help_names_every_command(output: Output):
    code, out, err = output("--help")
    assert (code, err) == (0, "")
    assert "main.py --datasets 'demo*'" in out
    for name in COMMANDS:
        assert f"main.py {name}" in out
    code, out, _ = output()
    assert code == 1  # nothing was asked for, so nothing was done
    assert "main.py --datasets" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(output: Output, name: str):
    code, out, err = output(name, "--help")
    assert (code, err) == (0, "")
    assert "usage: python main.py" in out
    assert "example" in out
    assert out.split("example")[1].count("python main.py") >= 1


def test_the_help_shows_every_flag_of_a_run(output: Output):
    _, out, _ = output("--datasets", "x", "--help")
    flags = "datasets executor workers max-files output-dir processor era max-chunks chunksize set config allow-partial"
    for flag in (*flags.split(), "overwrite", "dry-run", "no-plots"):
        assert f"--{flag}" in out
    assert "iterative, futures, dask-local" in out
    defaults = arguments.parse(["--datasets", "x"])
    assert (defaults.executor, defaults.workers, defaults.output_dir) == ("iterative", 4, Path("results"))


def test_the_examples_of_a_run_are_understood(monkeypatch: pytest.MonkeyPatch):
    lines = [line.split() for line in arguments.EXAMPLES.splitlines() if "main.py" in line]
    assert len(lines) >= 3
    for line in lines:
        assert line[:2] == ["python", "main.py"]
        assert arguments.parse(line[2:]).datasets


def test_the_word_run_is_the_same_as_none(monkeypatch: pytest.MonkeyPatch):
    from mucoffea.cli import run

    seen = []
    monkeypatch.setattr(run, "run", lambda options, console: seen.append(options) or 0)
    for words in (["--datasets", "x"], ["run", "--datasets", "x"]):
        assert cli.main(words) == 0
    assert (seen[0].datasets, seen[0].executor) == (seen[1].datasets, seen[1].executor)


@pytest.mark.parametrize(
    ("word", "nearest"), [("lits", "list"), ("plots", "plot"), ("toys", "toy"), ("runn", "run"), ("demo_dy", None)]
)
def test_an_unknown_command_suggests_the_nearest(output: Output, word: str, nearest: str | None):
    code, out, err = output(word)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: There is no command '{word}'.")
    assert "--help" in err
    if nearest:
        assert f"Did you mean '{nearest}'" in err


@pytest.mark.parametrize(
    "words",
    [
        ["--datasets"],
        ["--dataset", "x"],
        ["--datasets", "x", "--worker", "3"],
        ["--datasets", "x", "--workers", "many"],
        ["run"],
        ["list", "--era"],
        ["plot"],
        ["toy", "dy", "--events", "1e6", "--output-dir", "x"],
        ["toy", "dy", "--events", "5"],
    ],
)
def test_a_wrong_flag_is_a_users_error(output: Output, words: list[str]):
    # 2 is taken: it says that a run has finished with something missing.
    code, _, err = output(*words)
    assert code == 1
    assert "error" in err
    assert "Traceback" not in err


def test_flags_are_not_abbreviated(output: Output):
    # A script that says --max would change its meaning with the next flag that begins like this.
    code, _, err = output("--datasets", "x", "--max-f", "3")
    assert code == 1
    assert "--max-f" in err


# Lists.


def test_all_datasets_are_listed_with_cross_section_and_source(output: Output):
    code, out, err = output("list")
    assert (code, err) == (0, "")
    for name, dataset in load_registry().items():
        (line,) = [line for line in out.splitlines() if f" {name} " in line]
        assert dataset.kind in line
        assert (dataset.era or "–") in line
        if dataset.cross_section is not None:
            assert f"{dataset.cross_section.pb:g}" in line
            assert ("LO?" in line) == dataset.cross_section.placeholder


def test_a_part_of_the_datasets_is_listed(output: Output):
    code, out, _ = output("list", "demo_*")
    assert code == 0
    assert out.count("demo_") >= 4
    assert "ZZTo4L" not in out


def test_names_stay_whole_where_no_terminal_is(tmp_path: Path):
    # So that ``python main.py list | grep ZZTo4L`` finds a name that can be copied.
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    ended = subprocess.run(
        [sys.executable, str(MAIN), "list"], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    for name in load_registry():
        assert f" {name} " in ended.stdout


def test_eras_are_listed_with_luminosity_and_source(output: Output):
    code, out, _ = output("list", "--eras")
    assert code == 0
    for name, era in load_eras().items():
        (line,) = [line for line in out.splitlines() if line.startswith(f"│ {name} ")]
        assert f"{era.luminosity.value:g}" in line
        assert str(era.golden_json)[:20] in line


def test_the_analyses_are_listed(output: Output):
    code, out, _ = output("list", "--processors")
    assert code == 0
    for name in ANALYSES:
        assert name in out


# Toys.


@pytest.mark.parametrize("sample", ["dy", "ttbar", "zz4l"])
def test_a_toy_says_what_is_in_it(output: Output, tmp_path: Path, sample: str):
    code, out, _ = output("toy", sample, "--events", 300, "--files", 2, "--basket-events", 60, "--output-dir", tmp_path)
    assert code == 0
    sumw, entries = 0.0, 0
    for number in (0, 1):
        path = tmp_path / sample / f"{sample}_{number}.root"
        assert str(path) in out
        with uproot.open(path) as file:
            entries += file["Events"].num_entries
            sumw += float(file["Runs/genEventSumw"].array()[0])
            assert file["Events/Muon_pt"].num_baskets == 3
    assert entries == 300
    assert f"300 events, sumw {sumw!r}, cross section {DEMO_CROSS_SECTIONS[sample]:g} pb" in out
    assert (tmp_path / "lumi/Cert_demo_Golden.json").exists()


def test_pseudo_data_say_their_luminosity_and_run_with_their_corrections(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for words in (["data", "--luminosity", "0.1"], ["dy", "--events", "400", "--compression", "lz4"]):
        code, out, _ = output("toy", *words, "--seed", 3, "--output-dir", tmp_path / "toys")
        assert code == 0
        assert f"MUCOFFEA_CORRECTIONS={tmp_path / 'toys'}" in out
        assert ("certified luminosity 0.1 /pb" in out) == (words[0] == "data")
    # The third example of the help.
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(tmp_path / "toys"))
    names = [tmp_path / "toys" / name for name in ("dy", "data")]
    words = ["--datasets", *names, "--era", "demo", "--processor", "cms_dimuon", "--no-plots"]
    code, out, _ = output(*words, "--output-dir", tmp_path / "out")
    assert code == 0
    assert "400 events" in out or " 400 " in out


def test_a_toy_has_the_branches_that_were_asked_for(output: Output, tmp_path: Path):
    counts = []
    for content in ("narrow", "standard"):
        words = ("toy", "dy", "--events", 50, "--content", content, "--output-dir", tmp_path / content)
        assert output(*words)[0] == 0
        with uproot.open(tmp_path / content / "dy/dy_0.root") as file:
            counts.append(len(file["Events"].keys()))
    assert counts[0] == 46
    assert counts[1] > 100
