"""Merging loses no event and counts none twice: damaged, foreign, repeated and missing parts are refused."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.outputs.accounting import AccountingError, check_tiling
from mucoffea.outputs.part_format import DamagedPart, decode
from mucoffea.outputs.parts import Merger, PartStore

from .support.command_line import Command, assert_refused, run_words
from .support.parts import Item, make_result


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> tuple[PartStore, bytes]:
    """A store with the part of item 0, and its bytes."""
    store = PartStore(tmp_path_factory.mktemp("parts"))
    store.write(Item(0), make_result(np.random.default_rng(1)))
    return store, store.path(Item(0)).read_bytes()


def content(store: PartStore) -> tuple:
    found = decode(Item(0), store.path(Item(0)))
    arrays = {name: array.tobytes() for name, array in found.arrays.items()}
    return found.numbers, found.histograms, arrays, found.columns


def flip(store: PartStore, whole: bytes, position: int, bit: int, expected: tuple) -> None:
    """Read the part with one bit flipped: either that is noticed, or it changes nothing."""
    broken = bytearray(whole)
    broken[position] ^= 1 << bit
    store.path(Item(0)).write_bytes(broken)
    try:
        found = content(store)
    except DamagedPart:
        assert not store.check(Item(0))
        return
    # Some bits of a ZIP mean nothing to its content, such as those of a date.
    assert found == expected
    assert store.check(Item(0))


@given(st.data())
def test_no_flipped_bit_passes_unseen(part: tuple[PartStore, bytes], data: st.DataObject):
    store, whole = part
    store.put(Item(0), whole)
    expected = content(store)
    flip(store, whole, data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7)), expected)


def test_no_flipped_bit_of_the_directory_passes_unseen(part: tuple[PartStore, bytes]):
    # Where a member is and what it is called: no checksum covers that.
    store, whole = part
    store.put(Item(0), whole)
    expected = content(store)
    for position in range(whole.index(b"PK\x01\x02"), len(whole)):
        for bit in range(8):
            flip(store, whole, position, bit, expected)


@given(st.floats(0, 1, exclude_max=True))
def test_a_part_that_was_cut_short_is_damaged(part: tuple[PartStore, bytes], fraction: float):
    store, whole = part
    store.put(Item(0), whole[: int(fraction * len(whole))])
    assert store.has(Item(0))
    assert not store.check(Item(0))
    with pytest.raises(
        DamagedPart, match=r"000000\.zip \(dataset 'a', file f\.root, entries 0–50\).*it is damaged .*--resume"
    ):
        Merger(store.folder / "columns").add(Item(0), store.path(Item(0)))


def test_damage_spoils_nothing_that_was_merged(part: tuple[PartStore, bytes], tmp_path: Path):
    store, whole = part
    store.put(Item(0), whole)
    assert store.check(Item(0))
    merger = Merger(tmp_path / "columns")
    with pytest.raises(DamagedPart, match="it is missing"):
        merger.add(Item(0), tmp_path / "nowhere.zip")
    store.put(Item(0), whole[:-30])
    with pytest.raises(DamagedPart):
        merger.add(Item(0), store.path(Item(0)))
    store.put(Item(0), whole)
    merger.add(Item(0), store.path(Item(0)))
    assert merger.finish().numbers["a"]["events"] == 50


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"key": "k"}, "key"),
        ({"dataset": "b"}, "dataset"),
        ({"lfn": "g.root"}, "lfn"),
        ({"start": 10}, "start, events"),
        ({"stop": 60}, "stop, events"),
    ],
)
def test_a_part_of_another_work_item_is_refused(part: tuple[PartStore, bytes], tmp_path: Path, changes: dict, names):
    store, whole = part
    store.put(Item(0), whole)
    other = replace(Item(0), **changes)
    with pytest.raises(DamagedPart, match=rf"it is that of another work item \({names} differ\)"):
        Merger(tmp_path).add(other, store.path(Item(0)))
    store.put(other, whole)
    assert not store.check(other)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Item(1), "comes after item 1"),
        (Item(0), "comes after item 1: parts are merged once, in plan order"),
        (Item(2, start=99, stop=150), "counted twice: dataset 'a', file f.root, entries 99–150, where those up to 100"),
    ],
)
def test_a_part_is_merged_once_and_in_plan_order(tmp_path: Path, second: Item, message: str):
    store = PartStore(tmp_path)
    first = Item(1, start=0, stop=100)
    other_file = Item(5, lfn="g.root", start=0, stop=100)
    for item in (first, second, other_file):
        store.put(item, store.encode(item, {"a": {"n": 1}}))
    merger = Merger(tmp_path / "columns")
    store.write(first, {"a": {"n": 1}})
    merger.add(first, store.path(first))
    store.write(second, {"a": {"n": 1}})
    with pytest.raises(AccountingError, match=message):
        merger.add(second, store.path(second))
    merger.add(other_file, store.path(other_file))
    assert merger.finish().numbers == {"a": {"n": 2}}


def test_what_was_not_merged_must_be_known_as_missing(tmp_path: Path):
    def merge(*indices: int) -> Merger:
        store, merger = PartStore(tmp_path), Merger(tmp_path / "columns")
        for item in map(Item, indices):
            store.write(item, {"a": {"n": 1}})
            merger.add(item, store.path(item))
        return merger

    assert merge(0, 2).finish(missing=[Item(1)], entries={("a", "f.root"): 150}).numbers["a"]["n"] == 2
    with pytest.raises(AccountingError, match=r"not accounted for: dataset 'a', file f\.root, entries 50–100"):
        merge(0, 2).finish()
    with pytest.raises(AccountingError, match=r"counted twice.*entries 0–50"):
        merge(0, 1).finish(missing=[Item(0)])
    with pytest.raises(AccountingError, match="to be covered to entry 150, not to 100"):
        merge(0, 1).finish(entries={("a", "f.root"): 150})
    with pytest.raises(AccountingError, match=r"file g\.root was to be covered to entry 10, not to 0"):
        merge(0).finish(entries={("a", "g.root"): 10})


FILES = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["f", "g", "h"])),
    st.sets(st.integers(1, 1000), min_size=1, max_size=8),
    min_size=1,
)


def ranges_of(files: dict[tuple[str, str], set[int]]) -> list[Item]:
    """Ranges between the cuts of each file, from 0 to the last cut."""
    pieces = [(*file, *piece) for file, cuts in files.items() for piece in pairwise([0, *sorted(cuts)])]
    return [Item(index, "", *piece) for index, piece in enumerate(pieces)]


@given(FILES, st.randoms(use_true_random=False))
def test_ranges_that_tile_each_file_are_accepted_in_any_order(files, shuffler: random.Random):
    ranges = ranges_of(files)
    shuffler.shuffle(ranges)
    check_tiling(ranges)
    check_tiling(ranges, {file: max(cuts) for file, cuts in files.items()})


@given(FILES, st.data())
def test_a_range_lost_repeated_or_moved_is_found(files, data: st.DataObject):
    ranges = ranges_of(files)
    position = data.draw(st.integers(0, len(ranges) - 1))
    one = ranges[position]
    change = data.draw(st.sampled_from(["lost", "twice", "longer", "shorter", "elsewhere"]))
    changed = {
        "lost": [],
        "twice": [one, one],
        "longer": [replace(one, stop=one.stop + 1)],
        "shorter": [replace(one, start=one.start + 1)],
        "elsewhere": [replace(one, lfn="other", start=0, stop=one.stop)],
    }[change]
    assume(all(item.stop > item.start for item in changed))
    entries = {file: max(cuts) for file, cuts in files.items()}
    with pytest.raises(AccountingError) as raised:
        check_tiling([*ranges[:position], *changed, *ranges[position + 1 :]], entries)
    assert isinstance(raised.value, UserError)
    assert f"dataset '{one.dataset}', file " in str(raised.value)


def test_a_resumed_run_does_damaged_parts_anew(
    small: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
):
    words = run_words(small, tmp_path / "out", "--chunksize", "100")
    assert command(*run_words(small, tmp_path / "undisturbed", "--chunksize", "100")).code == 0
    parts = tmp_path / "out" / "unfinished" / "parts"
    add, damaged = Merger.add, []

    def damage_the_third(self: Merger, item: Item, path: Path) -> None:
        if item.index == 2:
            path.write_bytes(path.read_bytes()[:-1])
            damaged.append(path)
        add(self, item, path)

    monkeypatch.setattr(Merger, "add", damage_the_third)
    assert_refused(command(*words), r"part .*\.zip .*entries 200–300\) cannot be used: it is damaged .* --resume")
    monkeypatch.undo()
    next(path for path in parts.glob("*.zip") if path not in damaged).unlink()
    ended = command(*words, "--resume")
    assert (ended.code, ended.out.count("resumed: 4 of 6 work items were done")) == (0, 1)
    for name in ("histograms.root", "histograms.h5", "cutflow.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
