"""``check`` finds what would stop or spoil a run, all in one go, and says what the run will take."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import uproot
from mucoffea import cli
from mucoffea.cli import arguments
from mucoffea.cli.analysis import draft_setup
from mucoffea.cli.check import check, duration
from mucoffea.cli.estimate import Line, about_items
from mucoffea.cli.findings import Finding
from mucoffea.filesets.local import branch_sizes, build_fileset, inspect
from mucoffea.filesets.models import Dataset, FileEntry, Fileset

from .support.command_line import Command, assert_refused, run_words, snapshot, write_dataset, write_demo_dataset
from .support.results import read_report
from .support.root_files import copy_events

pytestmark = pytest.mark.usefixtures("_wide_terminal")

Usage = namedtuple("Usage", "total used free")


def looked_at(*words: object) -> list[Finding]:
    """What ``check`` finds."""
    return list(check(arguments.parse([str(word) for word in words])).findings)


def of_level(findings: list[Finding], level: str) -> dict[str, str]:
    """Component → message of the findings of one level."""
    return {one.component: one.message for one in findings if one.level == level}


@pytest.fixture(scope="module")
def corrections(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of corrections from which the file of the pile-up weights was removed."""
    folder = tmp_path_factory.mktemp("corrections")
    shutil.copytree(toys / "POG", folder / "POG")
    next((folder / "POG/LUM/demo").glob("puWeights*")).unlink()
    return folder


@pytest.fixture(scope="module")
def renamed(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which the isolation of muons has another name."""
    new = {"Muon_pfRelIso04_all": "Muon_pfRelIso04All"}
    return copy_events(small, tmp_path_factory.mktemp("renamed") / "renamed.root", renamed=new, stop=100)


#: What is wrong → a pattern that the error has to match.
MISTAKES = {
    "branch": r"muon selection .*lacks Muon_pfRelIso04_all\. Did you mean 'Muon_pfRelIso04All'",
    "trigger": r"trigger .*has none of the trigger paths HLT_IsoMu24x\. Did you mean 'HLT_IsoMu24'",
    "section": r"cross section not known \(.*mine\.yaml\)",
    "correction": r"correction pileup No file was found for the correction 'pileup' of era demo",
}


@pytest.mark.parametrize("mistakes", [tuple(MISTAKES), *((one,) for one in MISTAKES)], ids=" and ".join)
def test_mistakes_are_found_in_one_go_and_each_alone(
    command: Command,
    toys: Path,
    small: Path,
    renamed: Path,
    corrections: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mistakes: tuple[str, ...],
):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(corrections if "correction" in mistakes else toys))
    dataset = write_demo_dataset(tmp_path / "mine.yaml", [renamed if "branch" in mistakes else small])
    if "section" in mistakes:
        dataset.write_text(re.sub(r"cross_section:\n( .*\n)+", "", dataset.read_text()))
    # The factor of the trigger is measured for the path of the era, which is another thing to say.
    words = [
        "corrections=[pileup, muon_id]",
        "triggers=[HLT_IsoMu24x]" if "trigger" in mistakes else "met_filters=true",
    ]
    ended = command("check", *run_words(dataset, tmp_path / "out", *(f"--set={word}" for word in words)))
    assert (ended.code, ended.err) == (1, "")
    for name, pattern in MISTAKES.items():
        assert bool(re.search(pattern, ended.out)) == (name in mistakes), name
    assert f"{len(mistakes)} error" in ended.out
    assert not (tmp_path / "out").exists()
    # A run says the same before it starts. Without a cross section, a YAML is refused when it is read.
    if "section" not in mistakes:
        started = command(*run_words(dataset, tmp_path / "out", *(f"--set={word}" for word in words)))
        assert_refused(started, *(MISTAKES[name].replace(" .*", ".*").split(" ", 2)[-1] for name in mistakes))
        assert not (tmp_path / "out").exists()


def test_a_run_in_order_is_shown_and_nothing_is_written(
    command: Command, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    dataset = write_demo_dataset(tmp_path / "mine.yaml", [toys / "dy.root"])
    before = snapshot(tmp_path)
    words = run_words([dataset, toys / "data.root"], tmp_path / "out", "--era", "demo", "--chunksize", "6000")
    ended = command("check", *words)
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "out").exists()
    for part in ("0 errors", "run it with: python main.py --datasets", "100 pb", "0.02 /fb", "correction pileup"):
        assert part in ended.out
    checked = check(arguments.parse(words))
    assert command(*words).code == 0
    report = read_report(tmp_path / "out")
    for row, dataset_report in zip(checked.rows, report["datasets"], strict=True):
        assert (row.dataset, row.events) == (dataset_report["name"], dataset_report["events_processed"])
    from mucoffea.outputs.bundle import read_bundle

    memory = sum(one.view(flow=True).nbytes for one in read_bundle(tmp_path / "out").histograms.values())
    assert checked.histogram_bytes == memory
    # Every basket of the declared branches is read once.
    ledger = json.loads((tmp_path / "out/ledger.json").read_text())
    read = sum(row["bytes_read"] for row in (ledger if isinstance(ledger, list) else ledger["items"]))
    assert sum(row.bytes_read for row in checked.rows) == pytest.approx(read, rel=0.2)
    assert checked.seconds is not None
    assert 0 < checked.seconds < 60


def test_other_components(command: Command, toys: Path, small: Path, tmp_path: Path):
    # A path of several is not there; trigger objects are, but for one branch; a chunk is less than a basket.
    file = copy_events(small, tmp_path / "lacking.root", without="TrigObj_filterBits")
    findings = looked_at(
        *run_words(file, tmp_path / "out", "--set=triggers=[HLT_IsoMu24, HLT_IsoMu42]", "--chunksize=100")
    )
    assert re.search(r"lacks TrigObj_filterBits\.", of_level(findings, "error")["trigger matching"])
    warnings = of_level(findings, "warning")
    assert re.search("HLT_IsoMu42 is not in .*; HLT_IsoMu24 decides alone. Did you mean", warnings["trigger"])
    assert "below the 600 events" in warnings["chunk size"]
    # Without an era, a list for many years is tried, of which no file has all.
    assert (
        "HLT_IsoMu24; not in the file: HLT_IsoTkMu24"
        in of_level(looked_at(*run_words(small, tmp_path / "out")), "ok")["trigger"]
    )


def test_cross_sections_and_luminosities(toys: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    section = {"value": 3.0, "source": "a guess", "placeholder": True}
    dataset = write_dataset(tmp_path / "mine.yaml", [small], era="demo", cross_section=section)
    found = of_level(looked_at(*run_words(dataset, tmp_path / "out")), "warning")
    assert found["cross section"] == "3 pb is a placeholder, not good enough for a result: a guess"
    # A file by its path has none: an error of ``check``, a warning of a run.
    found = of_level(looked_at(*run_words(small, tmp_path / "out", "--era=demo")), "error")
    assert set(found) == {"cross section"}


def test_a_run_warns_and_goes_on(command: Command, toys: Path, small: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    ended = command(*run_words(small, tmp_path / "out", "--era=demo", "--chunksize=50"))
    assert ended.code == 0
    assert "warning: dy_0, cross section: not known" in ended.out
    assert "warning: dy_0, chunk size: --chunksize 50 is below the 200 events" in ended.out


def test_files_that_cannot_be_read(command: Command, three_files: list[Path], tmp_path: Path):
    broken = tmp_path / "broken.root"
    broken.write_bytes(three_files[0].read_bytes()[:5000])
    dataset = write_dataset(tmp_path / "mine.yaml", [broken, three_files[1]])
    found = of_level(looked_at(*run_words(dataset, tmp_path / "out")), "warning")
    assert re.search("1 of 2 cannot be read: .*broken.root is truncated", found["files"])
    # The sample is the first file that can be read, so a run that starts with a broken one goes on as before.
    assert command(*run_words(dataset, tmp_path / "out")).code == 2
    alone = write_dataset(tmp_path / "alone.yaml", [broken])
    assert "1 of 1 cannot be read" in of_level(looked_at(*run_words(alone, tmp_path / "x")), "error")["files"]


def test_the_executor(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mucoffea.cli.check_surroundings.core_count", lambda: 2)
    for words, level, pattern in (
        (["--executor=future"], "error", "no executor 'future'"),
        (["--executor=futures", "--workers=3"], "warning", "--workers 3 on 2 cores"),
        (["--executor=futures", "--workers=0"], "error", "at least 1"),
        (["--executor=iterative"], "ok", "iterative"),
    ):
        findings = looked_at(*run_words("no_such_dataset", tmp_path / "out", *words))
        assert re.search(pattern, of_level(findings, level)["executor"])
        # One mistake does not keep another from being found.
        assert "There is no dataset 'no_such_dataset'" in of_level(findings, "error")["datasets"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    findings = looked_at(*run_words("no_such_dataset", tmp_path / "out", "--executor=dask-local"))
    assert "pip install" in of_level(findings, "error")["executor"]


def test_wrong_parameters_do_not_hide_the_rest(small: Path, tmp_path: Path):
    findings = looked_at(*run_words(small, tmp_path / "out", "--set=muon.min_pd=3", "--chunksize=0"))
    found = of_level(findings, "error")
    assert "Did you mean 'min_pt'" in found["analysis"]
    assert "--chunksize must be at least 1" in found["plan"]


def test_the_output_folder(earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def state(folder: Path, *words: str) -> tuple[str, str]:
        (found,) = [one for one in looked_at(*run_words("x", folder, *words)) if one.component == "output folder"]
        return found.level, found.message

    level, message = state(earlier)
    assert level == "error"
    assert "--overwrite" in message
    assert state(earlier, "--overwrite")[0] == "ok"
    (tmp_path / "interrupted/unfinished").mkdir(parents=True)
    level, message = state(tmp_path / "interrupted")
    assert level == "warning"
    assert "--resume goes on" in message
    assert state(tmp_path / "interrupted", "--resume")[0] == "ok"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    level, message = state(tmp_path / "closed")
    assert level == "error"
    assert "No permission" in message


def test_a_full_disk(command: Command, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or Usage(100, 99, 1_000))
    found = of_level(looked_at(*run_words(small, tmp_path / "not/yet/there")), "error")
    assert re.search(r"1 kB are free in .*, and the run writes about \d", found["disk space"])
    assert asked == [tmp_path]
    assert_refused(command(*run_words(small, tmp_path / "out")), "disk space", "--output-dir")
    assert not (tmp_path / "out").exists()


def test_branches_are_remembered_from_the_first_look(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path / "cache"))
    file = Path(shutil.copy(toys / "zz4l.root", tmp_path / "file.root"))
    opened, real = [], uproot.open
    monkeypatch.setattr(uproot, "open", lambda *args, **options: opened.append(args) or real(*args, **options))
    entry = FileEntry(lfn=str(file), replicas=(str(file),))
    inspect(entry, branches=True)
    sizes = branch_sizes(entry)
    assert len(opened) == 1
    with real(file) as directory:
        assert sizes == {name: one.compressed_bytes for name, one in directory["Events"].items()}


def test_the_fields_of_an_rntuple_have_sizes(real: Path):
    entry = FileEntry(lfn="x", replicas=(str(real / "nanoaod/nano_dimuon_rntuple.root"),))
    sizes = branch_sizes(entry)
    assert sizes["Muon_pt"] > sizes["run"] > 0


def test_a_second_check_at_the_start_opens_no_file(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mucoffea.cli.check_datasets import dataset_findings, sample_of

    dataset = Dataset(name="a", kind="mc", process="a", files=(str(small),), origin="this test")
    fileset = build_fileset(dataset)
    fileset = fileset.model_copy(update={"files": tuple(inspect(one, branches=True) for one in fileset.files)})
    draft = draft_setup("cms_dimuon", [dataset], config=None, settings=[], folders=[])
    monkeypatch.setattr(uproot, "open", lambda *args, **options: pytest.fail("a file was opened"))
    found = list(dataset_findings(fileset, sample_of(fileset), draft, chunksize=1000, start=True))
    assert {one.level for one in found} == {"ok"}


@pytest.mark.parametrize(("seconds", "text"), [(0.01, "0.1 s"), (59, "59 s"), (90, "1.5 min"), (7200, "2 h")])
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


def test_items_before_there_is_a_plan():
    dataset = Dataset(name="a", kind="mc", process="a", files=("x.root",), origin="this test")
    files = tuple(FileEntry(lfn=name, replicas=(name,), entries=250) for name in ("x", "y"))
    fileset = Fileset(dataset=dataset, files=files)
    assert about_items(fileset, 100, None) == 6
    assert about_items(fileset, 100, 4) == 4
    assert Line(2.0, 0.5)(3, 10) == 11.0


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_off(width: int, small: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(["check", *run_words(small, tmp_path / "out", "--set=triggers=[HLT_IsoMu24, HLT_IsoMu2]")]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= width for line in out.splitlines())
    assert "…" not in out.replace("[HLT_…]", "")
    assert "HLT_IsoMu2 is not in" in " ".join(out.split())
