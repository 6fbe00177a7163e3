"""Descriptions of trees that contradict themselves, RNTuple pages with a wrong checksum, and replicas that are bad."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from mucoffea.executors.open_files import close_files, open_file
from mucoffea.filesets import opening
from mucoffea.filesets.checked_ntuple import checked_classes
from mucoffea.filesets.local import BadFile, UnreachableFile, inspect
from mucoffea.filesets.models import FileEntry
from mucoffea.filesets.recognition import sniff
from mucoffea.filesets.soundness import check_tree

from .conftest import REAL
from .support.damage import regions

NTUPLE = REAL / "nanoaod" / "nano_dimuon_rntuple.root"


def entry(*paths: object, **more: Any) -> FileEntry:
    names = tuple(str(path) for path in paths)
    return FileEntry(lfn="/store/x.root", replicas=names, **more)


class Branch:
    """A branch as uproot shows it, with tables of choice: two baskets of 10 entries, 100 bytes each."""

    def __init__(self, name: str, start: int, **changed: Any) -> None:
        self.name, self.num_entries = name, changed.pop("entries", 20)
        self._members = {
            "fWriteBasket": 2,
            "fBasketSeek": np.array([start, start + 100, 0]),
            "fBasketBytes": np.array([100, 100, 0]),
            "fBasketEntry": np.array([0, 10, 20]),
            **changed,
        }

    def member(self, name: str) -> Any:
        return self._members[name]


class Tree:
    """A tree of 20 entries in a file of 1000 bytes."""

    def __init__(self, *branches: Branch, entries: int = 20) -> None:
        self.num_entries, self._branches = entries, branches

    def itervalues(self, recursive: bool) -> Any:
        return iter(self._branches)


def test_a_sound_tree_and_one_whose_baskets_are_in_its_description():
    check_tree(Tree(Branch("a", 100), Branch("b", 300)), 1000)
    check_tree(Tree(Branch("a", 100), Branch("split", 0, fWriteBasket=0, entries=0)), None)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (Tree(Branch("a", 100), entries=16), "'a' has 20 entries, the tree 16"),
        (Tree(Branch("a", 100), Branch("b", 300, entries=21)), "'b' has 21 entries, the tree 20"),
        (Tree(entries=-3), "the tree has -3 entries"),
        (Tree(Branch("a", 900)), "outside the file"),
        (Tree(Branch("a", 3)), "outside the file"),
        (Tree(Branch("a", 100), Branch("b", 250)), "in the same place"),
        (Tree(Branch("a", 100), Branch("b", 100)), "in the same place"),
        (Tree(Branch("a", 100, fBasketBytes=np.array([100, -100, 0]))), "'a' has a basket without a length"),
        (Tree(Branch("a", 100, fBasketBytes=np.array([100]))), "'a' has a basket without a length"),
        (Tree(Branch("a", 100, fBasketEntry=np.array([0, 30, 20]))), "'a' are not in the order of their entries"),
    ],
)
def test_an_unsound_tree(tree: Tree, message: str):
    with pytest.raises(ValueError, match=message):
        check_tree(tree, 1000)


def truncated(source: Path, copy: Path) -> Path:
    copy.write_bytes(source.read_bytes()[:-5000])
    return copy


def with_flip(source: Path, copy: Path, place: int, mask: int = 1) -> Path:
    content = bytearray(source.read_bytes())
    content[place] ^= mask
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize("mask", [1, 64])
def test_a_number_of_entries_that_its_branches_do_not_have(small: Path, tmp_path: Path, mask: int):
    """600 is 0x258: a flip of fEntries, the first 600 of 64 bits in the tree's description, takes or adds events."""
    ((start, stop),) = regions(small)["Events metadata"]
    content = small.read_bytes()
    place = content.index((600).to_bytes(8, "big"), start, stop) + 7
    path = with_flip(small, tmp_path / "x.root", place, mask)
    with pytest.raises(BadFile, match=r"x\.root is corrupt: the branch '\w+' has 600 entries, the tree"):
        inspect(entry(path))
    with pytest.raises(ValueError, match="has 600 entries, the tree"):
        open_file(str(path), "Events", timeout=5)


@pytest.mark.slow
@pytest.mark.skipif(not NTUPLE.exists(), reason="no real RNTuple at ../shared/real/nanoaod")
def test_pages_of_an_rntuple_are_compared_with_their_checksums(tmp_path: Path):
    """uproot writes no checksums of pages, so it takes a file of ROOT."""
    with uproot.open(NTUPLE, custom_classes=checked_classes()) as file:
        tree = file["Events"]
        names = [tree.field_records[one.field_id].field_name for one in tree.column_records]
        place = tree.page_link_list[0][names.index("run")].pages[0].locator.offset
        assert len(tree["run"].array()) == 40
    path = with_flip(NTUPLE, tmp_path / "x.root", place)
    with (
        uproot.open(path, custom_classes=checked_classes()) as file,
        pytest.raises(OSError, match=r"the checksum of a page is wrong in .*x\.root"),
    ):
        file["Events"]["run"].array()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.99])
def test_page_lists_of_an_rntuple_are_compared_with_their_checksums(tmp_path: Path, share: float):
    good = tmp_path / "good.root"
    with uproot.recreate(good, compression=None) as file:
        file.mkrntuple("Events", {"x": np.arange(9), "y": np.ones(9)})
    assert inspect(entry(good)).entries == 9
    start, stop = regions(good)["page list"][0]
    path = with_flip(good, tmp_path / "x.root", int(start + share * (stop - start)))
    with pytest.raises(BadFile, match=r"x\.root is truncated or corrupt: the checksum of a page list is wrong"):
        inspect(entry(path))


def test_a_bad_replica_makes_it_try_the_next(small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    half = truncated(small, tmp_path / "half.root")
    found = inspect(entry(half, tmp_path / "missing.root", small, "root://later//store/x.root"))
    # The damaged one is not asked again; one that nobody has tried may still be of use.
    assert found.replicas == (str(small), "root://later//store/x.root")
    assert "half.root is truncated" in caplog.text
    assert "missing.root does not exist" in caplog.text


def test_each_replica_that_failed_is_named(small: Path, tmp_path: Path):
    half = truncated(small, tmp_path / "half.root")
    with pytest.raises(
        BadFile, match=r"None of the 2 replicas of /store/x.root.*\(1\) .*half.*truncated.*\(2\) .*no\.r"
    ):
        inspect(entry(half, tmp_path / "no.root"))
    with pytest.raises(UnreachableFile, match=r"\(1\) .*half.*truncated.*\(2\) .*localhost:1.* cannot be reached"):
        inspect(entry(half, "root://localhost:1//store/x.root"), timeout=3)


def test_the_wrong_file_at_one_of_the_servers(small: Path, three_files: list[Path], tmp_path: Path):
    uuid = inspect(entry(small)).uuid
    assert inspect(entry(three_files[0], small, uuid=uuid)).replicas == (str(small),)


@pytest.mark.parametrize(
    "look", [lambda path: inspect(entry(path), timeout=0.1), lambda path: sniff(path, timeout=0.1)]
)
def test_a_local_disk_that_hangs(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[str], object]
):
    path = tmp_path / "slow.root"
    path.write_bytes(small.read_bytes())
    monkeypatch.setattr(uproot, "open", lambda *args, **options: time.sleep(2))
    monkeypatch.setattr(opening, "LOCAL_TIMEOUT", 0.2)
    started = time.perf_counter()
    with pytest.raises(BadFile, match=r"slow\.root .*no answer within 0\.2 s"):
        look(str(path))
    assert time.perf_counter() - started < 1.5


def test_impossible_answers_are_no_traceback(tmp_path: Path):
    path = tmp_path / "x.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": "f4"}).extend({"x": np.ones(3, "f4")})
        file.mktree("Runs", {"genEventCount": "i8", "genEventSumw": "f8"}).extend(
            {"genEventCount": np.array([3]), "genEventSumw": np.array([np.inf])}
        )
    with pytest.raises(BadFile, match=r"x\.root is corrupt: .*the sum of generator weights is inf"):
        inspect(entry(path))


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_files()
