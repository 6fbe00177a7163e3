"""The catalogue of corrections: layouts, search order, guards, messages, and a sweep over the real POG files."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import correctionlib
import numpy as np
import pytest
from mucoffea.corrections import binning, catalogue, loading, sampling
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.corrections.evaluation import evaluate_flat
from mucoffea.errors import UserError

REAL = Path(__file__).parents[2] / "shared/real"
POG_FOLDERS = {"2016postVFP": "2016postVFP_UL", "2018": "2018_UL", "2022postEE": "2022_Summer22EE"}
TIGHT = "NUM_TightID_DEN_TrackerMuons"
CAT_ERA = "Run2-2018-UL-NanoAODv9"


def write(path: Path, *, key: str = TIGHT, version: int = 2, inputs: tuple[str, ...] = ("eta", "pt")) -> Path:
    variables = [{"name": name, "type": "real"} for name in inputs] + [{"name": "scale_factors", "type": "string"}]
    data = {"nodetype": "category", "input": "scale_factors", "content": [{"key": "nominal", "value": 0.5}]}
    correction = {
        "name": key,
        "version": version,
        "inputs": variables,
        "output": {"name": "w", "type": "real"},
        "data": data,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": 2, "corrections": [correction]}))
    return path


def resolve(*folders: Path, name: str = "muon_id", era: str = "2018", **options: object) -> catalogue.CorrectionRecord:
    dates = options.pop("dates", None)
    return Catalogue(folders, dates=dates).resolve(name, era=era, pog_folders=["2018_UL", CAT_ERA], **options)


@pytest.mark.parametrize(
    "place",
    [
        "POG/MUO/2018_UL/muon_Z.json",
        "MUO/2018_UL/muon_Z.json",
        f"MUO/{CAT_ERA}/2025-08-14/muon_Z.json",
        f"POG/MUO/{CAT_ERA}/muon_Z.json",
    ],
)
def test_layouts(tmp_path: Path, place: str) -> None:
    path = write(tmp_path / place)
    record = resolve(tmp_path)
    assert (record.path, record.key, record.version, record.working_point) == (path, TIGHT, 2, "tight")
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert pickle.loads(pickle.dumps(record)) == record
    assert len(pickle.dumps(record)) < 2000


def test_newest_date_wins_and_latest_is_never_used(tmp_path: Path) -> None:
    for date in ("2024-01-31", "2026-06-18", "2025-12-02", "latest"):
        write(tmp_path / "MUO" / CAT_ERA / date / "muon_Z.json")
    assert resolve(tmp_path).path.parent.name == "2026-06-18"
    assert resolve(tmp_path, dates={"MUO": "2024-01-31"}).path.parent.name == "2024-01-31"
    with pytest.raises(UserError, match="2023-01-01"):
        resolve(tmp_path, dates={"MUO": "2023-01-01"})


def test_first_folder_wins(tmp_path: Path) -> None:
    for folder in "ab":
        write(tmp_path / folder / "POG/MUO/2018_UL/muon_Z.json")
    assert resolve(tmp_path / "b", tmp_path / "a").path.is_relative_to(tmp_path / "b")


def test_environment_order_and_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two", "extra"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv(catalogue.ENVIRONMENT, f"{tmp_path}/one:{tmp_path}/two:")
    found = Catalogue.from_environment([tmp_path / "extra"]).folders
    assert [folder.name for folder in found[:3]] == ["extra", "one", "two"]
    assert found[3:] == catalogue.CVMFS_FOLDERS
    monkeypatch.setenv(catalogue.ENVIRONMENT, f"{tmp_path}/onee")
    with pytest.raises(UserError, match=r"onee in MUCOFFEA_CORRECTIONS does not exist.*'one'"):
        Catalogue.from_environment()
    monkeypatch.delenv(catalogue.ENVIRONMENT)
    assert Catalogue.from_environment().folders == catalogue.CVMFS_FOLDERS


def test_not_found_lists_every_place(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        resolve(tmp_path / "a", tmp_path / "b")
    places = [line.strip() for line in str(error.value).splitlines() if "muon_Z.json" in line]
    assert len(places) == len(set(places)) == 8
    with pytest.raises(UserError, match="search path is empty"):
        resolve()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "muon_idd"}, r"no correction 'muon_idd'.*Did you mean 'muon_id'"),
        ({"era": "2022postE"}, r"not known for era '2022postE'.*Did you mean '2022postEE'"),
        ({"working_point": "tigth"}, r"no working point 'tigth' in era 2018.*Did you mean 'tight'"),
        ({"name": "muon_reco", "era": "2022postEE"}, r"'muon_reco' is not known for era '2022postEE'"),
    ],
)
def test_mistakes_name_the_closest(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(tmp_path, **options)


def test_guards_on_key_version_and_inputs(tmp_path: Path) -> None:
    path = tmp_path / "POG/MUO/2018_UL/muon_Z.json"
    write(path, key=TIGHT + "s")
    with pytest.raises(UserError, match=f"no correction '{TIGHT}'.*Did you mean '{TIGHT}s'"):
        resolve(tmp_path)
    write(path, version=99)
    with pytest.raises(UserError, match="has version 99; supported: 1, 2"):
        resolve(tmp_path)
    write(path, inputs=("abseta", "pt"))
    with pytest.raises(UserError, match="takes abseta, pt instead of eta, pt"):
        resolve(tmp_path)
    path.write_text("{")
    with pytest.raises(UserError, match=r"muon_Z\.json is not a readable"):
        resolve(tmp_path)


def test_luminosity_mask_places(tmp_path: Path) -> None:
    name = "Cert_1_2_Golden.json"
    root = tmp_path / "pog"
    places = [
        tmp_path / "lumi",
        root / "DC/Collisions22/2025-01-01",
        root / "DC/Collisions22/2026-01-01",
        root / "DC/Collisions22/latest",
        root / "lumi",
        root,
    ]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("{}")
    search = Catalogue([root])
    assert search.find_luminosity_mask(name) == root / name
    (root / name).unlink()
    assert search.find_luminosity_mask(name) == root / "lumi" / name
    (root / "lumi" / name).unlink()
    assert search.find_luminosity_mask(name) == tmp_path / "lumi" / name
    (tmp_path / "lumi" / name).unlink()
    assert search.find_luminosity_mask(name).parent.name == "2026-01-01"
    assert Catalogue([root], dates={"DC": "2025-01-01"}).find_luminosity_mask(name).parent.name == "2025-01-01"
    assert search.find_luminosity_mask(str(places[1] / name)) == places[1] / name
    with pytest.raises(UserError, match="luminosity mask 'Cert_3"):
        search.find_luminosity_mask("Cert_3_Golden.json")


def test_the_data_names_real_defaults() -> None:
    for name in catalogue.correction_names():
        for era in catalogue.eras(name):
            assert catalogue.working_points(name, era)
    assert catalogue.working_points("muon_iso", "2018")[0] == "tight"
    assert "demo" in catalogue.eras("pileup")


def test_payloads_of_other_parts_do_not_clash() -> None:
    assert len(set(catalogue.correction_names())) == len(catalogue.correction_names())
    for name in catalogue.correction_names():
        assert len(set(catalogue.eras(name))) == len(catalogue.eras(name)), f"{name}: an era is in two groups"


SWEEP = [
    (name, era, point)
    for name in catalogue.correction_names()
    for era in catalogue.eras(name)
    if era in POG_FOLDERS
    for point in catalogue.working_points(name, era)
]


#: Working points for another release of the file than the real one here: its keys are not in it, and that is said.
OF_ANOTHER_RELEASE = {("jet_energy", "2022postEE", "ak4_v3")}


@cache
def direct(path: Path) -> correctionlib.CorrectionSet:
    return correctionlib.CorrectionSet.from_file(str(path))


@pytest.mark.skipif(not (REAL / "pog").is_dir(), reason="the real POG files are not here")
@pytest.mark.parametrize(("name", "era", "point"), SWEEP)
def test_every_entry_resolves_and_evaluates_on_the_real_files(name: str, era: str, point: str) -> None:
    try:
        record = Catalogue([REAL / "pog"]).resolve(name, era=era, pog_folders=[POG_FOLDERS[era]], working_point=point)
    except UserError as error:
        if (name, era, point) in OF_ANOTHER_RELEASE and "has no correction" in str(error):
            return
        if "No file was found" not in str(error):
            raise
        pytest.skip(f"the file of {name} for {era} is not among the real files")
    assert (name, era, point) not in OF_ANOTHER_RELEASE
    assert record.sha256 == hashlib.sha256(record.path.read_bytes()).hexdigest()
    for key in record.keys.values():
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(key))
        matching = [one for one in loading.keys(record.path) if re.fullmatch(pattern, one)]
        assert matching, f"{key} stands for no key of the file"
        assert any(_evaluates(record, one) for one in matching[:3])


@pytest.mark.skipif(not (REAL / "pog").is_dir(), reason="the real POG files are not here")
def test_every_real_file_is_reached_by_the_catalogue() -> None:
    search = Catalogue([REAL / "pog"])
    reached = set()
    for name, era, point in SWEEP:
        with suppress(UserError):
            reached.add(search.resolve(name, era=era, pog_folders=[POG_FOLDERS[era]], working_point=point).path)
    assert set((REAL / "pog").rglob("*.json*")) - reached == set()


def _evaluates(record: catalogue.CorrectionRecord, key: str) -> bool:
    """Compare values at points in the bins with correctionlib called by hand; return whether there were any."""
    found = binning.content(record.path, key)
    mesh = sampling.grid(found, found, most_combinations=4)
    values, _ = sampling.points(mesh, 50)
    library = direct(record.path)
    by_hand = library.compound[key] if key in library.compound else library[key]
    number = 0
    for keys in mesh.combinations:
        chosen = {**keys, **{name: text for name, text in record.fixed.items() if name in keys}}
        texts = {name: one for name, one in chosen.items() if isinstance(one, str)}
        size = len(next(iter(values.values()), [0.0]))
        numbers = {name: np.full(size, float(one)) for name, one in chosen.items() if name not in texts}
        given = {**values, **numbers} or {"": np.zeros(1)}
        try:
            result = np.atleast_1d(evaluate_flat(record.path, key, given, choices=texts, default=np.nan).values)
        except UserError:
            continue  # keys of categories that do not go together
        for place in np.flatnonzero(~np.isnan(result))[::7]:
            point = {name: float(one[place]) for name, one in values.items()} | chosen
            arguments = [int(point[one.name]) if one.type == "int" else point[one.name] for one in by_hand.inputs]
            assert result[place] == by_hand.evaluate(*arguments)
            number += 1
    return number > 0
