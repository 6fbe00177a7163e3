"""Datasets, YAML and fileset JSON: what is accepted, and what each mistake is answered."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.filesets.coffea_json import parse_filesets
from mucoffea.filesets.eras import find_era, load_eras
from mucoffea.filesets.models import CrossSection, Dataset, FileEntry, Fileset, Luminosity
from mucoffea.filesets.registry import read_datasets
from mucoffea.filesets.yaml_source import Document, read_document
from pydantic import ValidationError

GOOD = """\
name: dy
kind: mc
era: "2018"
process: DY
cross_section:
  value: 6077
  unit: pb
  source: FEWZ
files:
  - a.root
"""


def write(folder: Path, text: str, name: str = "d.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def document(content: Any, path: Path = Path("f.json")) -> Document:
    return Document(path, content, json.dumps(content, indent=1))


@pytest.mark.parametrize(("unit", "pb"), [("fb", 0.0025), ("pb", 2.5), ("nb", 2500.0)])
def test_cross_section_in_pb(unit: Any, pb: float) -> None:
    assert CrossSection(value=2.5, unit=unit, source="x").pb == pytest.approx(pb, rel=1e-15)


@pytest.mark.parametrize(("unit", "fb"), [("/fb", 20.0), ("/pb", 0.02)])
def test_luminosity_in_fb(unit: Any, fb: float) -> None:
    assert Luminosity(value=20, unit=unit, source="x").fb == pytest.approx(fb, rel=1e-15)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "6077", True, None])
def test_cross_section_must_be_a_positive_number(value: Any) -> None:
    with pytest.raises(ValidationError):
        CrossSection(value=value, source="x")


def test_models_are_frozen_and_survive_pickle_and_json() -> None:
    dataset = Dataset(name="a", kind="mc", process="p", files=("x.root",), metadata={"n": 1, "f": 0.5, "t": True})
    fileset = Fileset(dataset=dataset, files=(FileEntry(lfn="/x.root", replicas=("x.root",), entries=3),))
    assert pickle.loads(pickle.dumps(fileset)) == fileset
    assert Fileset.model_validate_json(fileset.model_dump_json(by_alias=True)) == fileset
    with pytest.raises(ValidationError):
        dataset.name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    "sources",
    [{}, {"files": ["a.root"], "glob": "*.root"}, {"toy": {}, "das": "/A/B/C"}, {"files": []}],
)
def test_a_dataset_has_exactly_one_source(sources: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Dataset(name="a", kind="data", process="p", **sources)


def test_good_yaml(tmp_path: Path) -> None:
    (dataset,) = read_datasets(write(tmp_path, GOOD))
    assert dataset.cross_section is not None
    assert dataset.cross_section.pb == 6077.0
    assert dataset.files == (str(tmp_path / "a.root"),)
    assert dataset.origin == str(tmp_path / "d.yaml")


def test_a_yaml_may_hold_a_list(tmp_path: Path) -> None:
    text = (
        "- {name: a, kind: data, process: data, glob: x/*.root}\n- {name: b, kind: data, process: data, das: /A/B/C}\n"
    )
    a, b = read_datasets(write(tmp_path, text))
    assert a.glob == str(tmp_path / "x/*.root")
    assert b.source == "das"


# what is changed in GOOD, the line of the mistake, and what the message must say
YAML_MISTAKES = [
    ("kind: mc", "kind: MC", 2, "'data' or 'mc'.* Did you mean 'mc'"),
    ("kind: mc", "knid: mc", 2, "no key 'knid'. Did you mean 'kind'"),
    ('era: "2018"', "era: 2018", 3, "'era' must be text, not 2018 .a whole number"),
    ('era: "2018"', 'era: "2081"', 3, "no era '2081'. Did you mean '2018'"),
    ("  value: 6077", '  value: "6077"', 6, "without quotes.* Write 6077"),
    ("  value: 6077", "  value: 6e3", 6, "'cross_section.value' must be a number.* Write 6000"),
    ("  value: 6077", "  value: -1", 6, "greater than 0"),
    ("  unit: pb", "  unit: PB", 7, "'fb', 'pb' or 'nb'.* Did you mean 'pb'"),
    ("  unit: pb", '  placeholder: "False"', 7, "true or false, without quotes, not .False. .text"),
    ("  source: FEWZ", "  soruce: FEWZ", 8, "no key 'soruce'. Did you mean 'source'"),
    ("  source: FEWZ", '  source: ""', 8, "at least 1 character"),
    ("  source: FEWZ\n", "", 5, "key 'cross_section.source' is missing"),
    ("  - a.root", "  - a.root\n  - 7", 11, "'files.1' must be text"),
    ("files:\n  - a.root", "files: a.root", 9, "'files' must be a list"),
    ("process: DY", "process: DY\nkind: data", 5, "'kind' is given twice, first in line 2"),
    ("process: DY", "process: [DY", 5, "not valid YAML"),
    ("process: DY", "metadata: {x: [1]}\nprocess: DY", 4, "'x' must be text, a number or true/false"),
    ("process: DY", "process: DY\norigin: here", 5, "no key 'origin'"),
    ("process: DY", "process: DY\n2018: x", 5, "2018 is a whole number; put it in quotes"),
    (
        "files:\n  - a.root",
        "glob: a\ntoy: {}",
        1,
        "exactly one of files, glob, file_list, das, rucio, sam, toy; it has glob and toy",
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), YAML_MISTAKES)
def test_mistakes_in_yaml_name_file_line_and_closest(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(UserError) as caught:
        read_datasets(path)
    text = str(caught.value)
    assert text.startswith(f"{path}, line {line}:"), text
    assert re.search(message, text), text
    assert "\n" not in text


def test_simulation_in_yaml_needs_a_cross_section(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\nkind: mc\nprocess: p\nglob: x.root\n")
    with pytest.raises(UserError, match="'a' has no cross section"):
        read_datasets(path)
    path = write(tmp_path, "name: a\nkind: mc\nprocess: p\nglob: x.root\ncross_section: null\n")
    with pytest.raises(UserError, match=r"line 5: .*no cross section"):
        read_datasets(path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("kind: data\ncross_section: {value: 1, source: x}", "data have no cross section"),
        ("kind: mc\nluminosity: {value: 1, source: x}", "'luminosity' is for data"),
    ],
)
def test_contradictions(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_datasets(write(tmp_path, f"name: a\nprocess: p\nglob: x.root\n{extra}\n"))


def test_unreadable_documents(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(UserError, match=r"does not exist. Did you mean 'd.yaml'"):
        read_document(tmp_path / "e.yaml")
    with pytest.raises(UserError, match="the file is empty"):
        read_document(write(tmp_path, "", "empty.yaml"))
    with pytest.raises(UserError, match="expected a mapping of name, experiment, kind"):
        read_datasets(write(tmp_path, "just text", "text.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UserError, match="not text in UTF-8"):
        read_document(tmp_path / "latin.yaml")
    (tmp_path / "x.json.gz").write_bytes(b"{}")
    with pytest.raises(UserError, match="not a complete gzip file"):
        read_document(tmp_path / "x.json.gz")
    (tmp_path / "y.json.gz").write_bytes(gzip.compress(b'{"a": {"files": ["x.root"]}}')[:-9])
    with pytest.raises(UserError, match="not a complete gzip file"):
        read_document(tmp_path / "y.json.gz")
    with pytest.raises(UserError, match="cannot be read"):
        read_document(tmp_path)


def test_mistakes_in_json_syntax_have_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"f.json, line 2: not valid JSON"):
        read_document(write(tmp_path, '{"a":\n ,}', "f.json"))
    with pytest.raises(UserError, match=r"f.json, line 3: the key 'a.root' is given twice"):
        read_document(write(tmp_path, '{"d": {"files": {\n"a.root": "Events",\n"a.root": "Events"}}}', "f.json"))


def test_json_lines_survive_tabs(tmp_path: Path) -> None:
    text = '{\n\t"d": {\n\t\t"files": {"root://s//x.root": "Events"},\n\t\t"metadata": {\n\t\t\t"isMC": "False"\n}}}'
    with pytest.raises(UserError, match=r"line 5: 'isMC' must be true or false, without quotes, not \"False\""):
        read_datasets(write(tmp_path, text, "f.json"))


URL = "root://server.org//store/mc/x.root"


def fileset(metadata: dict[str, Any], files: Any = None, **more: Any) -> dict[str, Any]:
    return {"d": {"files": files or {URL: "Events"}, "metadata": metadata, **more}}


def parse(metadata: dict[str, Any], files: Any = None, **more: Any) -> Dataset:
    (dataset,) = parse_filesets(document(fileset(metadata, files, **more)))
    return dataset


@pytest.mark.parametrize("key", ["isMC", "is_mc"])
def test_json_simulation(key: str) -> None:
    dataset = parse({key: True, "XS": 18610, "year": 2018, "sample": "DY", "nevents": 7, "das": ["/A", "/B"]})
    assert (dataset.kind, dataset.era, dataset.process) == ("mc", "2018", "DY")
    assert dataset.cross_section == CrossSection(value=18610.0, source="as given in f.json")
    assert dataset.metadata == {"nevents": 7, "das": '["/A", "/B"]'}


def test_json_data() -> None:
    dataset = parse({"isData": True, "xsec": 1, "year": "2022EE", "era": "F"})
    assert (dataset.kind, dataset.era, dataset.process) == ("data", "2022postEE", "data")
    assert dataset.cross_section is None
    assert dataset.metadata == {"xsec": 1, "era": "F"}


def test_json_without_cross_section_is_allowed() -> None:
    assert parse({"isMC": True}).cross_section is None


@pytest.mark.parametrize(
    "files",
    [
        [URL],
        [f"{URL}:Events"],
        {URL: "Events"},
        {URL: {"object_path": "Events", "num_entries": 7, "uuid": "ab", "steps": [[0, 7]]}},
        {f"{URL}:Events": None},
    ],
)
def test_json_shapes_of_files(files: Any) -> None:
    from mucoffea.filesets.local import build_fileset

    (entry,) = build_fileset(parse({"isMC": False}, files)).files
    assert (entry.lfn, entry.replicas, entry.tree) == ("/store/mc/x.root", (URL,), "Events")
    if isinstance(files, dict) and isinstance(files.get(URL), dict):
        assert (entry.entries, entry.uuid) == (7, "ab")


def test_json_short_form_and_treename() -> None:
    assert (
        parse_filesets(document({"d": {"files": [URL], "treename": "t", "metadata": {"isMC": False}}}))[0].tree == "t"
    )
    with pytest.raises(UserError, match="does not say whether it is simulation"):
        parse_filesets(document({"d": [URL]}))


JSON_MISTAKES = [
    ({"isMC": "False"}, "'isMC' must be true or false, without quotes"),
    ({"isMC": 1}, "'isMC' must be true or false"),
    ({"ismc": True}, "no metadata key 'ismc'. Did you mean 'isMC'"),
    ({"isNC": True}, "no metadata key 'isNC'. Did you mean 'isMC'"),
    ({"isMC": True, "isData": True}, "isMC and isData contradict"),
    ({"isMC": True, "XS": "1"}, "'XS' must be a number in pb"),
    ({"isMC": True, "XS": True}, "'XS' must be a number in pb"),
    ({"isMC": True, "xsec": -1}, "a cross section is positive"),
    ({"isMC": True, "XS": 1, "xsec": 2}, "XS and xsec contradict"),
    ({"isMC": True, "cross_secton": 1}, "Did you mean 'cross_section'"),
    ({"isMC": True, "year": "2016APX"}, "no era '2016APX'. Did you mean '2016APV'"),
    ({"isMC": True, "era": "A"}, "'era': There is no era 'A'"),
    ({"isMC": True, "year": "2017", "era": "2018"}, "year and era contradict"),
    ({"isMC": True, "sample": 3}, "'sample' must be text"),
    ({"isMC": True, "filename": "x"}, "'filename' is reserved"),
    ({}, "does not say whether it is simulation"),
]


@pytest.mark.parametrize(("metadata", "message"), JSON_MISTAKES)
def test_mistakes_in_json_metadata(metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse(metadata)
    assert re.match(r"f\.json, line \d+: ", str(caught.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a fileset"),
        ({}, "expected a fileset"),
        ({"d": 3}, "must be a mapping"),
        ({"d": {"fils": [URL]}}, "no key 'fils'. Did you mean 'files'"),
        ({"d": {"files": []}}, "has no files"),
        ({"d": {"files": [URL, URL]}}, "is named twice"),
        ({"d": {"files": [3]}}, "must hold paths"),
        ({"d": {"files": "x"}}, "must be a list of paths"),
        ({"d": {"files": {URL: 3}}}, "must have the name of its tree"),
        ({"d": {"files": {URL: {"object_pth": "t"}}}}, "Did you mean 'object_path'"),
        ({"d": {"files": {URL: {"num_entries": "7"}}}}, "must be a number of events"),
        ({"d": {"files": [URL], "metadata": [1]}}, "'metadata' must be a mapping"),
        ({"": {"files": [URL], "metadata": {"isMC": True}}}, "'name' is"),
    ],
)
def test_mistakes_in_json_structure(content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_filesets(document(content))


NAMES = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=20)
SCALARS = st.one_of(
    st.text(string.printable, max_size=10),
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
)
OWN_KEYS = st.text("qvw0123456789", min_size=1, max_size=6)


@settings(deadline=None)
@given(
    name=NAMES,
    is_mc=st.booleans(),
    value=st.floats(1e-9, 1e9) | st.integers(1, 10**9),
    paths=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    own=st.dictionaries(OWN_KEYS, SCALARS, max_size=4),
    era=st.sampled_from([None, *load_eras()]),
    zipped=st.booleans(),
)
def test_json_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    is_mc: bool,
    value: float,
    paths: list[str],
    own: dict[str, Any],
    era: str | None,
    zipped: bool,
) -> None:
    """Whatever is written comes back: kind, cross section, era, files in order, and the user's own metadata."""
    urls = [f"root://host//store/{path}.root" for path in paths]
    metadata = {**own, "isMC": is_mc, "xsec": value, "era": era}
    content = json.dumps({name: {"files": dict.fromkeys(urls, "Events"), "metadata": metadata}}).encode()
    path = tmp_path_factory.mktemp("json") / ("f.json.gz" if zipped else "f.json")
    path.write_bytes(gzip.compress(content) if zipped else content)
    (dataset,) = read_datasets(path)
    assert dataset.name == name
    assert dataset.files == tuple(urls)
    assert dataset.kind == ("mc" if is_mc else "data")
    assert dataset.era == era
    expected = {**own} if is_mc else {**own, "xsec": value}
    assert dataset.metadata == expected
    if is_mc:
        assert dataset.cross_section is not None
        assert dataset.cross_section.pb == value


def test_eras() -> None:
    eras = load_eras()
    assert list(eras)[:4] == ["2016preVFP", "2016postVFP", "2017", "2018"]
    for spelling, name in [
        ("2016APV", "2016preVFP"),
        ("2016", "2016postVFP"),
        ("ul18", "2018"),
        ("2022EE", "2022postEE"),
        ("Summer22", "2022preEE"),
        ("2023_postBPix", "2023postBPix"),
        ("2018_UL", "2018"),
        ("demo", "demo"),
    ]:
        assert find_era(spelling).name == name
    with pytest.raises(UserError, match=r"no era '2016postVPF'. Did you mean '2016postVFP'"):
        find_era("2016postVPF")


def test_a_name_of_two_eras_is_an_error(tmp_path: Path) -> None:
    era = "- {name: %s, aliases: [%s], year: 2018, run: 2, com_energy: 13, nanoaod: v9}\n"
    path = write(tmp_path, era % ("a", "x") + era % ("b", "X"), "eras.yaml")
    with pytest.raises(UserError, match=r"line 2: the eras a and b are both called 'X'"):
        load_eras(path)
