"""Luminosity sections and what they amount to: the CMS form, brilcalc's files, and the choice of a luminosity."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import uproot
from coffea.lumi_tools import LumiData, LumiMask
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.filesets.local import inspect
from mucoffea.filesets.models import FileEntry
from mucoffea.luminosity_sections import from_ranges, in_words, packed, to_ranges, unpacked
from mucoffea.outputs.brilcalc import read_luminosities
from mucoffea.outputs.luminosity import DataSections, DataSet, account, data_sections, era_luminosity, same_periods
from mucoffea.outputs.normalisation import FileSum

from .support.luminosity import write_csv

PAIRS = st.sets(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 40)), max_size=60)


def make(ranges: dict[str, list[list[int]]]) -> np.ndarray:
    return from_ranges(ranges)


@settings(deadline=None)
@given(PAIRS, PAIRS)
def test_the_cms_form_is_that_of_the_set_and_numpy_its_algebra(one, two):
    def as_set(pairs):
        return np.unique(packed(*np.array(sorted(pairs)).reshape(-1, 2).T))

    ranges = to_ranges(as_set(one))
    inside = {(int(run), n) for run, spans in ranges.items() for first, last in spans for n in range(first, last + 1)}
    assert inside == one
    # As compact as can be, sorted, and what LumiMask reads.
    for spans in ranges.values():
        assert all(before[1] + 1 < after[0] for before, after in pairwise(spans))
    np.testing.assert_array_equal(from_ranges(json.loads(json.dumps(ranges))), as_set(one))
    for mine, theirs in ((np.union1d, one | two), (np.intersect1d, one & two), (np.setdiff1d, one - two)):
        found = mine(as_set(one), as_set(two))
        assert set(zip(*(column.tolist() for column in unpacked(found)), strict=True)) == theirs


def test_what_is_written_is_what_lumimask_lets_pass(tmp_path: Path):
    sections = make({"315267": [[3, 5], [9, 9]], "315270": [[1, 2]]})
    (tmp_path / "mine.json").write_text(json.dumps(to_ranges(sections)))
    run, section = (np.uint32(column) for column in np.divmod(np.arange(315267 * 20, 315271 * 20), 20))
    passed = LumiMask(str(tmp_path / "mine.json"))(run, section)
    np.testing.assert_array_equal(packed(run[passed], section[passed]), sections)


def test_sections_in_words():
    sections = make({"7": [[1, 3], [5, 5]], "8": [[2, 2], [4, 9]]})
    assert in_words(sections) == "7: 1-3, 5; 8: 2 and 1 more ranges"
    assert in_words(sections[:4]) == "7: 1-3, 5"


def test_real_golden_json_comes_back_as_it_is(real: Path):
    for path in (real / "lumi").glob("Cert*"):
        golden = {run: spans for run, spans in json.loads(path.read_text()).items() if spans}
        found = to_ranges(from_ranges(golden))
        assert from_ranges(found).tolist() == from_ranges(golden).tolist()
        assert list(found) == sorted(golden, key=int)


@pytest.mark.parametrize("name", ["lumi_small.csv", "small_lumi.csv"])
def test_a_real_csv_has_the_luminosity_that_coffea_finds(real: Path, name: str):
    path = real / "lumi" / name
    table = read_luminosities(path)
    pairs = np.stack(unpacked(table.sections), axis=1)
    # coffea knows no unit; the header of these two says /pb.
    for some in (slice(None), slice(None, None, 3)):
        expected = LumiData(str(path)).get_lumi(pairs[some]) / 1000
        assert table.total(table.sections[some]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("unit", "per_fb"), [("/fb", 1), ("/pb", 1e3), ("/nb", 1e6), ("/ub", 1e9), ("/b", 1e15)])
def test_the_unit_is_that_of_the_header(tmp_path: Path, unit: str, per_fb: float):
    path = write_csv(tmp_path / "lumi.csv", {(1, 2): 0.25 * per_fb, (1, 3): 0.5 * per_fb}, unit)
    table = read_luminosities(path)
    assert table.total(table.sections) == pytest.approx(0.75, rel=1e-14)
    assert table.total(make({"1": [[3, 9]]})) == pytest.approx(0.5, rel=1e-14)
    assert in_words(table.missing(make({"1": [[3, 5]], "2": [[1, 1]]}))) == "1: 4-5; 2: 1"


HEADER = "#run:fill,ls,time,beamstatus,E(GeV),delivered(/ub),recorded(/ub),avgpu,source\n"
ROW = "1:9,2:2,06/16/17 20:55:44,STABLE BEAMS,6500,1.0,0.5,40.3,HFET\n"


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ("", "no header"),
        ("{}", "no header"),
        (ROW, "no header"),
        (HEADER, "no row"),
        (HEADER + "1:9,2:2\n", "damaged in line 2: '1:9,2:2'"),
        (HEADER + ROW + ROW.replace("0.5", "x"), "damaged in line 3"),
        (HEADER + ROW.replace("0.5", "-1"), "damaged in line 2"),
        (HEADER + ROW.replace("0.5", "nan"), "damaged in line 2"),
        (HEADER + ROW.replace("1:9", "run"), "damaged in line 2"),
        (HEADER + ROW + ROW.replace("0.5", "0.6"), "two values for section 2 of run 1"),
        (HEADER.replace("/ub", "hz/ub") + ROW, "in 'hz/ub'"),
        ("#run:fill,time,nls,ncms,delivered(/ub),recorded(/ub)\n1:9,x,2,2,1.0,0.5\n", "not by luminosity section"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_file_that_gives_no_luminosity_is_refused(tmp_path: Path, content: str, pattern: str):
    path = tmp_path / "lumi.csv"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=pattern) as error:
        read_luminosities(path)
    assert "lumi.csv" in str(error.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_luminosities(tmp_path / "elsewhere.csv")


def test_a_summary_and_a_repeated_row_do_no_harm(tmp_path: Path):
    path = tmp_path / "lumi.csv"
    path.write_text(f"#Data tag : 19v2\n{HEADER}{ROW}{ROW}#Summary:\n#nfill,nrun,totrecorded(/ub)\n#1,1,0.5\n\n")
    table = read_luminosities(path)
    assert table.total(table.sections) == pytest.approx(0.5e-9)


def test_files_of_data_say_what_they_were_made_from(toys: Path, tmp_path: Path):
    found = inspect(FileEntry(lfn="x", replicas=(str(toys / "data.root"),))).luminosity_sections
    with uproot.open(toys / "data.root") as file:
        blocks = file["LuminosityBlocks"].arrays(library="np")
    assert from_ranges(found).tolist() == sorted(packed(blocks["run"], blocks["luminosityBlock"]).tolist())
    assert inspect(FileEntry(lfn="x", replicas=(str(toys / "dy.root"),))).luminosity_sections is None
    with uproot.recreate(tmp_path / "skim.root") as file:
        file.mktree("Events", {"run": "uint32"}).extend({"run": [1]})
    assert inspect(FileEntry(lfn="x", replicas=(str(tmp_path / "skim.root"),))).luminosity_sections is None


def file(entries: int, processed: int, sections: dict | None) -> FileSum:
    return FileSum(lfn="f", entries=entries, processed=processed, planned=entries, luminosity_sections=sections)


def everything(sections: np.ndarray) -> np.ndarray:
    return sections


def test_sections_without_events_count_where_their_file_was_read_whole():
    counted = {"1": {"1": 5, "2": 3, "4": 1}}
    whole, part = file(9, 9, {"1": [[1, 3]]}), file(9, 4, {"1": [[3, 6]]})
    found = data_sections([whole, part], counted, everything)
    assert to_ranges(found.with_events) == {"1": [[1, 2], [4, 4]]}
    assert to_ranges(found.empty) == {"1": [[3, 3]]}  # of the whole file; 5 and 6 may have had events
    assert to_ranges(found.processed) == {"1": [[1, 4]]}
    assert to_ranges(found.doubtful) == {"1": [[4, 4]]}
    # A section that two files share is doubtful if one of them is not there.
    shared = data_sections([whole, file(9, 0, {"1": [[2, 2]]})], counted, everything)
    assert to_ranges(shared.doubtful) == {"1": [[2, 2]]}
    # An empty file is read whole, and a mask takes sections out everywhere.
    empty = data_sections([file(0, 0, {"1": [[1, 9]]})], {}, lambda sections: sections[sections % 2**32 > 5])
    assert to_ranges(empty.processed) == {"1": [[6, 9]]}
    # Without a list nobody knows of sections without events.
    unlisted = data_sections([whole, file(9, 9, None)], counted, everything)
    assert unlisted.empty is None
    assert account(unlisted, None).without_events is None


def data_set(name: str = "data", ranges: dict | None = None, **changes) -> DataSet:
    found = make(ranges or {"1": [[1, 10]]})
    values = {"declared": None, "complete": True, "limited": False, "processed": 100, "available": 100}
    return DataSet(name, sections=DataSections(found, found[:0], found[:0]), **{**values, **changes})


@pytest.fixture
def table(tmp_path: Path):
    """One /pb for each of the sections 1 to 20 of run 1."""
    return read_luminosities(write_csv(tmp_path / "lumi.csv", {(1, n): 1.0 for n in range(1, 21)}, "/pb"))


def chosen(data, table=None, declared: float | None = 0.01, allow_partial: bool = False, era: str = "x"):
    return era_luminosity(era, declared, data, table, allow_partial=allow_partial)


def test_a_luminosity_file_goes_before_what_is_declared(table):
    assert chosen([data_set()]).value == 0.01
    assert chosen([]).value == 0.01
    assert chosen([data_set(declared=0.03)]).value == 0.03
    measured = chosen([data_set()], table)
    assert (measured.value, measured.notes) == (pytest.approx(0.010, rel=1e-14), ())
    assert "measured: lumi.csv" in measured.source
    (note,) = chosen([data_set()], table, declared=0.0102).notes
    assert "0.01 /fb" in note
    assert "declared 0.0102 /fb" in note
    assert chosen([], None, declared=None, era="").unknown == "no luminosity (no era)"


def test_incomplete_data_have_a_part_of_the_luminosity_or_none(table):
    failed = data_set(ranges={"1": [[1, 4]]}, complete=False, processed=40)
    assert "--allow-partial" in chosen([failed]).unknown
    assert "--allow-partial" in chosen([failed], table).unknown
    assert chosen([failed], table, allow_partial=True).value == pytest.approx(0.004, rel=1e-14)
    estimate = chosen([failed], allow_partial=True)
    assert estimate.value == pytest.approx(0.004, rel=1e-14)
    assert "estimate" in estimate.source
    assert any(note.startswith("PARTIAL: x: ") and "estimate" in note for note in estimate.notes)
    # Limits are what was asked for: no permission is needed, but the number of all events.
    limited = data_set(ranges={"1": [[1, 4]]}, limited=True, processed=40)
    assert chosen([limited], table).value == pytest.approx(0.004, rel=1e-14)
    assert chosen([limited]).value == pytest.approx(0.004, rel=1e-14)
    unknown = chosen([data_set(limited=True, available=None)])
    assert unknown.value is None
    assert "data is not known" in unknown.unknown
    assert "--luminosity-csv" in unknown.unknown
    for one in (chosen([failed]), estimate, chosen([limited])):
        assert one.partial
    parts = [data_set("a", {"1": [[1, 4]]}, declared=0.02, complete=False, processed=50), data_set("b", declared=0.01)]
    parts[1] = data_set("b", {"2": [[1, 4]]}, declared=0.01)
    assert chosen(parts, allow_partial=True).value == pytest.approx(0.02, rel=1e-14)


def test_sections_that_may_lack_events_are_said_to(table):
    found = make({"1": [[1, 5]]})
    cut = DataSet("cut", None, True, True, 5, 9, DataSections(found, found[:0], found[3:]))
    measured = chosen([cut], table)
    assert measured.value == pytest.approx(0.005, rel=1e-14)
    assert "2 luminosity sections may lack events" in measured.notes[0]
    assert "(0.002 /fb)" in measured.notes[0]
    assert account(cut.sections, table).luminosity_possibly_incomplete == pytest.approx(0.002, rel=1e-14)


def test_sections_that_the_file_lacks_are_named(table):
    data = [data_set(ranges={"1": [[15, 22]], "3": [[7, 7]]})]
    refused = chosen(data, table)
    assert "3 processed luminosity sections are not in lumi.csv (1: 21-22; 3: 7)" in refused.unknown
    allowed = chosen(data, table, allow_partial=True)
    assert allowed.value == pytest.approx(0.006, rel=1e-14)
    assert "they count as zero" in allowed.notes[0]
    assert account(data[0].sections, table).without_luminosity == 3
    other = chosen([data_set(ranges={"9": [[1, 2]]})], table, allow_partial=True)
    assert other.value is None
    assert "has no luminosity" in other.unknown


def test_skims_that_do_not_list_their_sections_keep_the_declared_luminosity(table):
    found = make({"1": [[1, 2]]})
    skim = DataSet("skim", 0.03, True, False, 5, 5, DataSections(found, None, found[:0]))
    kept = chosen([skim], table)
    assert kept.value == 0.03
    assert "do not list their luminosity sections" in kept.notes[0]


def test_data_sets_of_the_same_time_are_not_added(table):
    muon = data_set("SingleMuon", {"1": [[1, 10]]}, declared=0.010)
    double = data_set("DoubleMuon", {"1": [[2, 10]]}, declared=0.009)
    later = data_set("SingleMuonLater", {"1": [[10, 20]]}, declared=0.010)  # shares one section at the border
    assert [[one.name for one in group] for group in same_periods([muon, later, double])] == [
        ["SingleMuon", "DoubleMuon"],
        ["SingleMuonLater"],
    ]
    both = chosen([muon, double])
    assert both.value == 0.010
    assert "SingleMuon and DoubleMuon cover the same luminosity sections" in both.notes[0]
    added = chosen([muon, later])
    assert added.value == pytest.approx(0.020)
    assert "are added" in added.notes[0]
    assert chosen([muon, later, double]).value == pytest.approx(0.020)
    # With a file the sections are counted once, and those of the border as well.
    assert chosen([muon, later, double], table).value == pytest.approx(0.020, rel=1e-14)
    # Two parts of the same time are not the same part.
    part = data_set("DoubleMuon", {"1": [[2, 5]]}, complete=False, processed=40)
    refused = chosen([muon, part], table, allow_partial=True)
    assert refused.value is None
    assert "run them one by one" in refused.unknown
