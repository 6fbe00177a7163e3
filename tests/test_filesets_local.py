"""Local filesets: which files, what a file says of itself, and each way in which a file can be wrong."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from mucoffea.errors import UserError
from mucoffea.filesets.addresses import is_remote, logical_name, split_object
from mucoffea.filesets.local import BadFile, UnreachableFile, build_fileset, inspect
from mucoffea.filesets.models import Dataset, FileEntry
from mucoffea.filesets.recognition import sniff
from mucoffea.filesets.registry import check_unique_files, resolve

REAL = Path(__file__).parents[2] / "shared/real/nanoaod"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real NanoAOD files at ../shared/real/nanoaod")


def write_root(path: Path, events: int = 5, *, mc: bool = True, tree: str = "Events", runs: str = "") -> Path:
    """Write a small TTree; ``runs`` is the suffix of the branches of ``Runs``, or '-' for no such tree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        branches = {"run": np.dtype("u4")} | ({"genWeight": np.dtype("f4")} if mc else {})
        file.mktree(tree, branches)
        file[tree].extend({name: np.ones(events, kind) for name, kind in branches.items()})
        if runs != "-" and mc:
            file.mktree("Runs", {f"genEventCount{runs}": np.dtype("i8"), f"genEventSumw{runs}": np.dtype("f8")})
            file["Runs"].extend(
                {f"genEventCount{runs}": np.array([10, 20]), f"genEventSumw{runs}": np.array([1.5, 2.25])}
            )
    return path


def entry(path: Path | str, **more: Any) -> FileEntry:
    return FileEntry(lfn=str(path), replicas=(str(path),), **more)


def dataset(name: str = "d", **source: Any) -> Dataset:
    return Dataset(name=name, kind="data", process="data", origin="test", **source)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_root(tmp_path / "good.root")


@pytest.mark.parametrize("runs", ["", "_"])
def test_inspect_sums_the_runs_of_old_and_new_nanoaod(tmp_path: Path, runs: str) -> None:
    path = write_root(tmp_path / "a.root", 7, runs=runs)
    found = inspect(entry(path))
    with uproot.open(path) as file:
        assert found.uuid == str(file.file.uuid)
    assert (found.entries, found.size) == (7, path.stat().st_size)
    assert (found.gen_event_count, found.gen_event_sumw) == (30, 3.75)


def test_inspect_without_runs(tmp_path: Path) -> None:
    found = inspect(entry(write_root(tmp_path / "a.root", runs="-")))
    assert (found.gen_event_count, found.gen_event_sumw) == (None, None)


def test_rntuple(tmp_path: Path) -> None:
    path = tmp_path / "n.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", {"genWeight": np.ones(4, "f4")})
        file.mkrntuple("Runs", {"genEventCount": np.array([40]), "genEventSumw": np.array([4.5])})
    found = inspect(entry(path))
    assert (found.entries, found.gen_event_count, found.gen_event_sumw) == (4, 40, 4.5)
    assert sniff(str(path)) == ("mc", "Events")


def test_a_tree_without_events_is_allowed_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_root(tmp_path / "none.root", 0)
    assert inspect(entry(path)).entries == 0
    assert "has no events" in caplog.text


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist") as caught:
        inspect(entry(tmp_path / "no.root"))
    assert not isinstance(caught.value, BadFile)


def test_no_permission(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)  # the tests may run as root, whom no mode stops
    with pytest.raises(UserError, match="no permission") as caught:
        inspect(entry(good))
    assert not isinstance(caught.value, BadFile)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        inspect(entry(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PAR1 is parquet", "not a ROOT file: it starts with b'PAR1'"),
        (b"root", "truncated: 4 bytes"),
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.root"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=message) as caught:
        inspect(entry(path))
    assert caught.value.path == str(path)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file(good: Path, keep: float) -> None:
    whole = good.read_bytes()
    short = int(keep * len(whole))
    good.write_bytes(whole[:short])
    with pytest.raises(BadFile, match=f"truncated: {short} of {len(whole)} bytes") as caught:
        inspect(entry(good))
    assert caught.value.path == str(good)


def test_corrupt_file(good: Path) -> None:
    content = bytearray(good.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    good.write_bytes(content)
    with pytest.raises(BadFile, match=r"cannot be read as a ROOT file|truncated or corrupt"):
        inspect(entry(good))


def test_missing_tree_names_the_trees_present(good: Path) -> None:
    with pytest.raises(BadFile, match=r"no tree 'Event'. Did you mean 'Events'\? It has Events, Runs") as caught:
        inspect(entry(good, tree="Event"))
    assert caught.value.path == str(good)


def test_a_file_without_trees(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "h.root") as file:
        file["h"] = np.histogram([1.0])
    with pytest.raises(BadFile, match="It has no tree at all"):
        inspect(entry(tmp_path / "h.root"))


def test_a_changed_file_is_found_out(good: Path) -> None:
    first = inspect(entry(good))
    assert inspect(first) == first
    with pytest.raises(BadFile, match="has entries 5, but its fileset says 6"):
        inspect(entry(good, entries=6))
    write_root(good)
    with pytest.raises(BadFile, match=r"has uuid .* the file has changed"):
        inspect(first)


@pytest.mark.parametrize("url", ["root://localhost:1//store/x.root", "http://localhost:1/store/x.root"])
def test_unreachable_server_is_told_in_time(url: str) -> None:
    started = time.perf_counter()
    with pytest.raises(UnreachableFile, match=r"cannot be reached") as caught:
        inspect(entry(url), timeout=3)
    assert caught.value.path == url
    assert time.perf_counter() - started < 10


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that accepts and says nothing for a while; local files open as ever."""
    opened = uproot.open

    def hang(path: str, **options: Any) -> Any:
        if is_remote(path):
            time.sleep(1.0)
            raise OSError("late")
        return opened(path, **options)

    monkeypatch.setattr(uproot, "open", hang)
    yield
    time.sleep(0.1)


def test_a_silent_server_is_given_up_after_the_timeout(silent: None) -> None:
    started = time.perf_counter()
    with pytest.raises(UnreachableFile, match=r"no answer within 0\.2 s"):
        inspect(entry("root://nobody//store/x.root"), timeout=0.2)
    assert 0.2 <= time.perf_counter() - started < 0.9


def test_the_replica_that_answers_comes_first(silent: None, good: Path) -> None:
    urls = ("root://nobody//store/x.root", str(good))
    found = inspect(FileEntry(lfn="/store/x.root", replicas=urls), timeout=0.1)
    assert found.replicas == (urls[1], urls[0])
    assert found.entries == 5


@pytest.mark.parametrize(
    ("text", "path", "tree"),
    [
        ("a.root", "a.root", None),
        ("a.root:Events", "a.root", "Events"),
        ("root://h:1094//x/a.root", "root://h:1094//x/a.root", None),
        ("root://h:1094//x/a.root:f/t", "root://h:1094//x/a.root", "f/t"),
    ],
)
def test_split_object(text: str, path: str, tree: str | None) -> None:
    assert split_object(text) == (path, tree)


def test_logical_names(tmp_path: Path) -> None:
    names = {logical_name(f"root://{s}/store/mc/a.root") for s in ("a.ch//x", "b.de:1094//", "c.us//eos/d")}
    assert names == {"/store/mc/a.root"}
    assert logical_name("root://e.ch//eos/opendata/a.root") == "/eos/opendata/a.root"
    (tmp_path / "link.root").symlink_to(tmp_path / "a.root")
    assert logical_name(str(tmp_path / "link.root")) == os.path.realpath(tmp_path / "a.root")


def test_replicas_of_one_logical_file_are_one_entry() -> None:
    urls = ("root://a//store/x.root", "root://b//p/store/x.root", "root://a//store/y.root")
    files = build_fileset(dataset(files=urls)).files
    assert [file.replicas for file in files] == [urls[:2], urls[2:]]


def test_files_and_glob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.root", "a.root", "deep/c.root", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    files = build_fileset(dataset(files=("b.root:t", "a.root"))).files
    assert [(Path(f.replicas[0]).name, f.tree) for f in files] == [("b.root", "t"), ("a.root", "Events")]
    found = build_fileset(dataset(glob=str(tmp_path / "**/*.root"))).files
    assert [f.replicas[0] for f in found] == [str(tmp_path / n) for n in ("a.root", "b.root", "deep/c.root")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"files": ("goood.root",)},
            r"goood.root does not exist. Did you mean 'good.root'\? It is a file of .* 'd' \(test",
        ),
        ({"files": (".",)}, "is a folder"),
        ({"files": ("good.root", "good.root")}, "is named twice in the dataset 'd'"),
        ({"files": ("good.root", "./sub/../good.root")}, "is named twice in the dataset 'd'"),
        ({"glob": "*.rot"}, r"No file matches the glob '\*.rot' of the dataset 'd' \(test"),
        ({"glob": "root://a//x/*.root"}, "only local globs"),
        ({"das": "/A/B/C"}, "names no files but 'das'"),
        ({"toy": {"sample": "dy"}}, "generate its files first"),
    ],
)
def test_wrong_sources(good: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any], message: str) -> None:
    monkeypatch.chdir(good.parent)
    with pytest.raises(UserError, match=message):
        build_fileset(dataset(**source))


def test_a_file_in_two_datasets_is_an_error(good: Path) -> None:
    a, b = (build_fileset(dataset(name, files=(str(good),))) for name in "ab")
    check_unique_files([a, a])
    with pytest.raises(UserError, match=r"good.root is in two datasets, 'a' \(test\) and 'b' \(test\)"):
        check_unique_files([a, b])


@pytest.mark.parametrize("mc", [True, False])
def test_kind_is_recognised(tmp_path: Path, mc: bool) -> None:
    path = write_root(tmp_path / "x.root", mc=mc)
    (found,) = resolve([str(path)], {})
    assert (found.name, found.kind, found.tree) == ("x", "mc" if mc else "data", "Events")
    assert found.process == ("x" if mc else "data")
    assert found.cross_section is None


def test_kind_from_runs_alone_and_the_only_tree(tmp_path: Path) -> None:
    path = tmp_path / "x.root"
    with uproot.recreate(path) as file:
        file.mktree("skim", {"pt": "f4"})
        file.mktree("Runs", {"genEventSumw": "f8"})
    assert sniff(str(path)) == ("mc", "skim")


def test_a_folder(tmp_path: Path) -> None:
    for number in (2, 1):
        write_root(tmp_path / f"sample/{number}.root")
    (found,) = resolve([str(tmp_path / "sample") + "/"], {})
    assert (found.name, found.kind) == ("sample", "mc")
    assert found.files == tuple(str(tmp_path / f"sample/{n}.root") for n in (1, 2))


def test_a_folder_with_a_bad_file_keeps_it_for_the_report(tmp_path: Path) -> None:
    write_root(tmp_path / "s/good.root")
    (tmp_path / "s/bad.root").write_bytes(b"")
    (found,) = resolve([str(tmp_path / "s")], {})
    assert found.files is not None
    assert len(found.files) == 2
    (tmp_path / "s/good.root").write_bytes(b"")
    with pytest.raises(BadFile, match="is empty"):
        resolve([str(tmp_path / "s")], {})


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no ROOT files"):
        resolve([str(tmp_path)], {})
    write_root(tmp_path / "m/a.root", mc=True)
    write_root(tmp_path / "m/b.root", mc=False)
    with pytest.raises(UserError, match=r"'m' mixes data \(.*b.root\) and simulation \(.*a.root\)"):
        resolve([str(tmp_path / "m")], {})
    write_root(tmp_path / "t/a.root", tree="one")
    write_root(tmp_path / "t/b.root", tree="two")
    with pytest.raises(UserError, match="have different trees: one, two"):
        resolve([str(tmp_path / "t")], {})


@real
@pytest.mark.parametrize(
    ("name", "kind", "entries", "sums"),
    [
        ("nano_dimuon", "data", 40, (None, None)),
        ("nano_dimuon_rntuple", "data", 40, (None, None)),
        # NanoAODv6, a skim of 850 098 generated events
        ("nano_dy", "mc", 40, (850098, 15166686735.858717)),
        ("nano_tt_v12", "mc", 200, (None, None)),
        ("nanoAOD_2015_CMS_Open_Data_ttbar", "mc", 200, (None, None)),
        ("missing_luminosityBlock", "mc", 2, (None, None)),
    ],
)
def test_real_nanoaod(name: str, kind: str, entries: int, sums: tuple[Any, Any]) -> None:
    path = REAL / f"{name}.root"
    assert sniff(str(path)) == (kind, "Events")
    found = inspect(entry(path))
    assert found.entries == entries
    assert (found.gen_event_count, found.gen_event_sumw) == sums
    assert found.size == path.stat().st_size
