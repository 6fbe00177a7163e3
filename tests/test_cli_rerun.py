"""``rerun``: the same bytes from the provenance alone, or a refusal that names what has changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import uproot
import yaml
from mucoffea import cli
from mucoffea.cli import recorded
from mucoffea.cli.comparison import compare_products
from mucoffea.executors import keys
from mucoffea.outputs.provenance import read_provenance
from mucoffea.toys.cms_nanoaod import ToySpec, generate

from .support.command_line import Command, assert_refused, run_words, write_demo_dataset

pytestmark = pytest.mark.usefixtures("_wide_terminal")


@pytest.fixture(scope="module")
def original(toys: Path, three_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with input, correction files, settings and the result ``out``; paths were relative to it."""
    folder = tmp_path_factory.mktemp("original")
    shutil.copytree(three_files[0].parent, folder / "input", ignore=shutil.ignore_patterns("*.json"))
    for name in ("POG", "lumi"):
        shutil.copytree(toys / name, folder / "corrections" / name)
    files = sorted(path.relative_to(folder) for path in (folder / "input").glob("*.root"))
    assert len(files) == 3
    write_demo_dataset(folder / "dy.yaml", files)
    (folder / "mine.yaml").write_text("correction_folders: [corrections]\nmuon: {min_pt: 22}\n")
    words = ("--config", "mine.yaml", "--set", "leading_min_pt=30", "--max-files", "2", "--chunksize", "100")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert cli.main(run_words("dy.yaml", "out", *words)) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(original: Path) -> Path:
    """The folder of ``original``, put back after a test that changes something in it."""
    backup = original.with_name(original.name + "-backup")
    shutil.copytree(original, backup)
    yield original
    for path in original.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in backup.iterdir():
        shutil.move(path, original / path.name)  # a file keeps its time of modification
    backup.rmdir()


@pytest.mark.parametrize("executor", ["iterative", pytest.param("futures", marks=pytest.mark.slow)])
def test_a_rerun_gives_the_same_bytes(command: Command, original: Path, tmp_path: Path, executor: str):
    # From another working directory; nothing but the provenance says where the files are.
    words = ("rerun", original / "out", "--output-dir", tmp_path / "again")
    ended = command(*words, "--executor", executor, "--workers", 2)
    assert ended.code == 0
    states = compare_products(original / "out", tmp_path / "again")
    assert set(states) >= {"report.json", "histograms.h5", "histograms.root", "cutflow.json", "cutflow.csv"}
    assert all(states.values())
    for name in states:
        assert f"identical {name}" in ended.out
    assert (original / "out/report.json").read_bytes() == (tmp_path / "again/report.json").read_bytes()
    first, second = read_provenance(original / "out"), read_provenance(tmp_path / "again")
    assert (first.machine.executor, second.machine.executor) == ("iterative", executor)
    assert (first.keys, first.parameters, first.files) == (second.keys, second.parameters, second.files)
    assert second.command_line[2] == "rerun"
    assert command(*words).code == 1  # a result is there
    if executor == "iterative":  # a rerun can be made again as well
        assert command("rerun", tmp_path / "again", "--output-dir", tmp_path / "third").code == 0


def test_settings_and_definitions_that_changed_on_disk_do_not_matter(command: Command, place: Path):
    (place / "mine.yaml").write_text("muon: {min_pt: 50}\n")
    content = yaml.safe_load((place / "dy.yaml").read_text())
    content["cross_section"]["value"] = 5.0
    (place / "dy.yaml").write_text(yaml.safe_dump(content))
    ended = command("rerun", place / "out")
    assert ended.code == 0
    assert all(compare_products(place / "out", place / "out-rerun").values())
    assert f"--config, {place / 'mine.yaml'}, has changed since; the recorded parameters are used" in ended.out
    assert f"definition of 'dy' in {place / 'dy.yaml'} has changed since (cross_section)" in ended.out


def test_a_changed_correction_file_is_named(command: Command, place: Path):
    (path,) = (place / "corrections").rglob("puWeights.json.gz")
    import gzip

    content = json.loads(gzip.decompress(path.read_bytes()))
    node = content["corrections"][0]["data"]["content"][0]["value"]
    node["content"] = [2 * value for value in node["content"]]
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    assert_refused(command("rerun", place / "out"), "correction file: .*puWeights.json.gz", "SHA-256", "--anyway")
    assert not (place / "out-rerun").exists()
    ended = command("rerun", place / "out", "--anyway")
    assert ended.code == 2
    assert "warning: different: correction file" in ended.out
    assert "differs: " in ended.out
    assert not compare_products(place / "out", place / "out-rerun")["histograms.h5"]
    (one,) = [one for one in read_provenance(place / "out-rerun").corrections if one.name == "pileup"]
    assert one.sha256 not in (place / "out/provenance.json").read_text()
    path.unlink()
    assert_refused(command("rerun", place / "out", "--anyway", "--overwrite"), "puWeights.json.gz, cannot be read")


def test_a_changed_or_missing_input_is_named(command: Command, place: Path):
    first, second = sorted((place / "input").glob("*.root"))[:2]
    with uproot.open(first) as file:
        was = str(file.file.uuid)
    (made,) = generate(ToySpec(sample="dy", events=250, seed=77), place / "new")
    made.replace(first)
    second.unlink()
    with uproot.open(first) as file:
        now = str(file.file.uuid)
    ended = command("rerun", place / "out")
    assert_refused(ended, f"{first} .*uuid {now}, was {was}", "entries 250, was 300", f"{second} does not exist")
    ended = command("rerun", place / "out", "--anyway")
    assert ended.code == 2
    assert "DIFFERS report.json" in ended.out


def test_changed_code_packages_and_luminosity_are_named(
    command: Command, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    digests = dict(read_provenance(original / "out").keys.sources)
    monkeypatch.setattr(keys, "source_digests", lambda module: digests | {"mucoffea.selections.muons": "other"})
    current = recorded.software()
    packages = {**current.packages, "awkward": "99.0"}
    monkeypatch.setattr(recorded, "software", lambda: current.model_copy(update={"packages": packages}))
    words = ("rerun", original / "out", "--output-dir", tmp_path / "again")
    ended = command(*words)
    assert_refused(
        ended,
        "source: mucoffea.selections.muons has changed",
        f"package: awkward 99.0, was {current.packages['awkward']}",
    )
    assert "mucoffea.selections.pairs" not in ended.err
    assert "numpy" not in ended.err
    monkeypatch.undo()
    era = recorded.find_era("demo")
    brighter = era.model_copy(update={"luminosity": era.luminosity.model_copy(update={"value": 30.0})})
    monkeypatch.setattr(recorded, "find_era", lambda name: brighter)
    assert_refused(command(*words), "luminosity of era demo: .*30.0.*, was .*20.0")


def test_what_cannot_be_made_again_is_a_users_error(command: Command, earlier: Path, tmp_path: Path):
    assert_refused(command("rerun", tmp_path), "holds no finished result")
    assert_refused(command("rerun", earlier, "--output-dir", earlier), "is the result itself")
    path = earlier / "provenance.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "parameters": {**content["parameters"], "gone": 1}}))
    assert_refused(command("rerun", earlier), "recorded parameter of cms_dimuon, 'gone'", "Check out the commit")
    path.unlink()
    assert_refused(command("rerun", earlier), "has no provenance.json")


def test_a_product_that_differs_or_is_missing_is_told(original: Path, tmp_path: Path):
    other = Path(shutil.copytree(original / "out", tmp_path / "other"))
    assert all(compare_products(original / "out", other).values())
    # A ROOT file has times in it: the same histograms are the same product, one other bin is another.
    for factor, same in ((1.0, True), (2.0, False)):
        with (
            uproot.open(original / "out/histograms.root") as source,
            uproot.recreate(other / "histograms.root") as file,
        ):
            for name, kind in source.classnames(cycle=False).items():
                if kind.startswith("TH"):
                    file[name] = source[name].to_hist() * factor
        assert compare_products(original / "out", other)["histograms.root"] == same
    (other / "cutflow.csv").unlink()
    (other / "columns").mkdir()
    (other / "columns/dy.parquet").write_bytes(b"")
    states = compare_products(original / "out", other)
    assert {name for name, same in states.items() if not same} == {
        *("cutflow.csv", "columns/dy.parquet", "histograms.root")
    }
