"""Damaged files: each run gives the exact result, or names the file and ends with code 1 or 2; ``--verify`` finds all.

A copy of a file is damaged in one place, and the main command runs over it alone or beside a whole file, in a process
of its own that may take :data:`.support.batch.TIME_LIMIT` seconds for each copy. ROOT keeps no checksum of much of a
file (zstd and uncompressed baskets, and all metadata that are not compressed), so some flips change the result and
nobody can tell: they are counted, and ``--verify`` has to find every one of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import uproot
from mucoffea.filesets.recognition import sniff
from mucoffea.toys.cms_nanoaod import ToySpec, generate

from .conftest import REAL
from .support.batch import TIME_LIMIT, Answer, Batch
from .support.command_line import run_words, write_dataset
from .support.damage import Damage, flips, replacements, truncations

#: Kinds of damage whose bytes all look like those of a file: only these may go unnoticed without ``--verify``.
SUBTLE = ("flip", "hole")

UNDAMAGED = Damage("none", "", lambda content: content)


class Outcome(NamedTuple):
    """What became of one copy: ``exact``, ``named`` (code 1 or 2) or ``undetected`` is right, all else is a defect."""

    source: str
    damage: Damage
    result: str
    answer: Answer


class Bench:
    """A folder with a whole file, the place of the damaged one beside it, and the process that reads them."""

    def __init__(self, folder: Path, source: Path, whole: Path) -> None:
        folder.mkdir()
        self.name, self.content = f"{source.parent.name}/{source.stem}", source.read_bytes()
        self.whole = Path(shutil.copy(whole, folder / "whole.root"))
        self.damaged = folder / "damaged.root"
        self.folder = folder
        self.kind = {"kind": sniff(str(source))[0]}
        if self.kind["kind"] == "data":
            self.kind["cross_section"] = None
        self.batch = Batch(folder)

    def run(self, *more: str, alone: bool) -> Answer:
        files = [self.damaged] if alone else [self.whole, self.damaged]
        dataset = write_dataset(self.folder / "d.yaml", files, **self.kind)
        out = self.folder / "out"
        # Muons alone: what is damaged is the file, not the analysis.
        muons = ("--set", "trigger_match=false", "--set", "electron_muon=false", "--set", "missing_momentum=false")
        return self.batch.run(run_words(dataset, out, *muons, *more), out)

    def outcomes(self, damages: Iterable[Damage]) -> list[Outcome]:
        """Run over the good file, whose checksum is recorded, then over each damaged one in its place."""
        self.damaged.write_bytes(self.content)
        right = {alone: self.run("--verify", alone=alone) for alone in (False, True)}
        assert [one.code for one in right.values()] == [0, 0], right
        assert "2 recorded for the next time" in right[False].text
        assert "1 files compared with their checksums, 0 mismatched" in right[True].text
        found = []
        for count, damage in enumerate(damages):
            alone = count % 3 == 2
            damage.make(self.content, self.damaged)
            answer = self.run(alone=alone)
            found.append(Outcome(self.name, damage, self.judge(answer, right[alone], damage, alone), answer))
            if count % 10 == 9:  # what was damaged leaves nothing behind in the process that spoils a good file
                UNDAMAGED.make(self.content, self.damaged)
                again = self.run(alone=True)
                assert (again.code, again.digest) == (0, right[True].digest), (damage, again)
        return found

    def judge(self, answer: Answer, right: Answer, damage: Damage, alone: bool) -> str:
        if answer.code in (1, 2):
            return "named" if str(self.damaged) in answer.text else "not named"
        if answer.code != 0:
            return str(answer.code)
        if answer.digest == right.digest:
            return "exact"
        if answer.events < right.events:
            return "smaller"
        if not damage.kind.startswith(SUBTLE):
            return "wrong"
        verified = self.run("--verify", alone=alone)
        caught = verified.code in (1, 2) and f"{self.damaged} has the checksum sha256:" in verified.text
        return "undetected" if caught else "not caught by --verify"


def damages(path: Path, seed: int, number: int) -> list[Damage]:
    """Damages to every part of a file: ``number`` flips for each, and the other kinds."""
    rng = np.random.default_rng(seed)
    size = path.stat().st_size
    return [*flips(path, rng, number), *truncations(size, rng, number), *replacements(size, rng)]


def toy(folder: Path, compression: str, events: int = 300) -> Path:
    (path,) = generate(
        ToySpec(sample="dy", events=events, seed=8, basket_events=100, compression=compression, content="narrow"),
        folder / compression,
    )
    return path


def as_ntuple(path: Path, folder: Path, compression: uproot.compression.Compression | None) -> Path:
    """Write the trees of a toy as RNTuples."""
    folder.mkdir()
    copy = folder / path.name
    with uproot.open(path) as source, uproot.recreate(copy, compression=compression) as target:
        for name in ("Events", "Runs"):
            tree = source[name]
            target.mkrntuple(name, {branch: tree[branch].array() for branch in tree.keys()})  # noqa: SIM118
    return copy


def table(outcomes: Iterable[Outcome]) -> str:
    """Say how the copies fared, by file and kind of damage."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for one in outcomes:
        rows.setdefault((one.source, one.damage.kind), Counter())[one.result] += 1
    return "\n".join(
        f"{source:28} {kind:26} " + ", ".join(f"{number} {result}" for result, number in sorted(row.items()))
        for (source, kind), row in rows.items()
    )


def assert_accounted(outcomes: list[Outcome]) -> None:
    print(f"\n{table(outcomes)}")
    undetected = sum(one.result == "undetected" for one in outcomes)
    slowest = max(one.answer.seconds for one in outcomes)
    print(f"{len(outcomes)} damaged copies, {undetected} changed the result undetected without --verify, none with it")
    print(f"slowest run {slowest:.1f} s, limit {TIME_LIMIT:g} s")
    defects = [one for one in outcomes if one.result not in ("exact", "named", "undetected")]
    assert not defects, [(one.source, one.damage.kind, one.damage.detail, one.result, one.answer) for one in defects]


@pytest.mark.slow
def test_some_damaged_copies(tmp_path: Path):
    source, whole = toy(tmp_path, "zstd", 100), toy(tmp_path, "none", 100)
    every = damages(source, seed=5, number=1)
    bench = Bench(tmp_path / "bench", source, whole)
    with bench.batch:
        outcomes = bench.outcomes(every)
    assert_accounted(outcomes)
    assert len(outcomes) >= 25
    assert {"exact", "named"} <= {one.result for one in outcomes}


def toy_benches(folder: Path, whole: Path) -> list[tuple[Bench, list[Damage]]]:
    """Trees and RNTuples of each compression; more flips of what is read where ROOT keeps no checksum of it."""
    trees = {name: toy(folder, name) for name in ("zlib", "zstd", "lz4", "none")}
    packed = {"zlib": uproot.ZLIB(1), "zstd": uproot.ZSTD(3), "none": None}
    ntuples = {
        f"ntuple_{name}": as_ntuple(trees["none"], folder / f"ntuple_{name}", kind) for name, kind in packed.items()
    }
    benches = []
    for seed, (name, path) in enumerate((trees | ntuples).items()):
        every = damages(path, seed, number=2)
        if name.endswith(("zstd", "none")):
            more = flips(path, np.random.default_rng(100 + seed), 12)
            every += [one for one in more if one.kind in ("flip in basket", "flip in page")]
        benches.append((Bench(folder / f"bench_{name}", path, whole), every))
    return benches


def real_benches(folder: Path, whole: Path) -> list[tuple[Bench, list[Damage]]]:
    """Files of CMS with 1 500 branches, which take seconds each: fewer copies."""
    steps = {"nano_dy": 1, "nano_dimuon": 2, "nano_dimuon_rntuple": 4}
    paths = {name: REAL / "nanoaod" / f"{name}.root" for name in steps} if REAL.is_dir() else {}
    return [
        (Bench(folder / f"bench_{name}", path, whole), damages(path, seed, number=1)[:: steps[name]])
        for seed, (name, path) in enumerate(paths.items())
    ]


@pytest.mark.slow
def test_damaged_copies_of_real_and_toy_files(tmp_path: Path):
    whole = toy(tmp_path / "whole", "zlib", 200)
    toys, real = toy_benches(tmp_path, whole), real_benches(tmp_path, whole)

    def work(task: tuple[Bench, list[Damage]]) -> list[Outcome]:
        bench, copies = task
        with bench.batch:
            return bench.outcomes(copies)

    assert sum(len(copies) for _, copies in toys) >= 200
    with ThreadPoolExecutor(2) as pool:
        outcomes = [one for part in pool.map(work, [*real, *toys]) for one in part]
    assert_accounted(outcomes)
    # Uncompressed momenta and zstd have no checksum: without such flips --verify would not have been put to the test.
    assert any(one.result == "undetected" for one in outcomes)
