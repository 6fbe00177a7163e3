"""What lies in folders of corrections, and the documentation of one correction."""

from __future__ import annotations

from pathlib import Path

import pytest
from mucoffea.corrections.browsing import CorrectionFile, browse, documentation
from mucoffea.corrections.loading import keys
from mucoffea.errors import UserError
from mucoffea.toys.cms_distortions import write_corrections

from .support.pog_files import ROCHESTER, TIGHT, correction, scale_factor, table, write


def test_files_of_both_layouts_are_found(tmp_path: Path) -> None:
    jsonpog, cat = tmp_path / "jsonpog", tmp_path / "cat"
    first = write(jsonpog / "POG" / "MUO" / "2018_UL" / "muon_Z.json", scale_factor())
    every = write(jsonpog / "POG" / "JME" / "jer_smear.json.gz", scale_factor())
    dated = write(cat / "MUO" / "Run2-2018" / "2025-08-14" / "muon_Z.json.gz", scale_factor())
    write(cat / "MUO" / "Run2-2018" / "latest" / "muon_Z.json.gz", scale_factor())
    (cat / "MUO" / "Run2-2018" / "notes.txt").write_text("no correction")
    (cat / "lumi").mkdir()
    (cat / "lumi" / "Cert_Golden.json").write_text("{}")
    found = browse([jsonpog, cat])
    assert found.files == (
        CorrectionFile("JME", "", "jer_smear.json.gz", every),
        CorrectionFile("MUO", "2018_UL", "muon_Z.json", first),
        CorrectionFile("MUO", "Run2-2018", "2025-08-14/muon_Z.json.gz", dated),
    )
    assert found.left_out == ()


def test_rochester_tables_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "MUO" / "2018_UL" / "RoccoR2018UL.txt"
    path.parent.mkdir(parents=True)
    path.write_text(ROCHESTER)
    assert browse([tmp_path]).left_out == (path,)
    assert browse([tmp_path]).files == ()


def test_no_folder_has_no_files(tmp_path: Path) -> None:
    assert browse([]).files == browse([tmp_path / "absent"]).files == ()


def test_every_correction_of_the_demo_is_documented(tmp_path: Path) -> None:
    write_corrections(tmp_path)
    found = browse([tmp_path])
    assert {one.pog for one in found.files} == {"MUO", "EGM", "JME", "BTV", "LUM"}
    assert {one.era for one in found.files} == {"demo"}
    for one in found.files:
        for key in keys(one.path):
            assert f"<b>{key}</b>" in documentation(one.path, key)


def test_documentation_has_inputs_bins_and_limits(tmp_path: Path) -> None:
    text = documentation(write(tmp_path / "muon.json", scale_factor()), TIGHT)
    assert "<td>pt</td><td>real</td><td>3 bins: 15, 30, 60, 120</td><td>15 to 120</td><td>no value</td>" in text
    assert "nominal, stat" in text
    assert "made for a test" in text


def test_names_are_no_html(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", correction("<script>", {"pt": "real"}, table([1.0], {"pt": [0.0, 1.0]})))
    text = documentation(path, "<script>")
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


def test_many_bins_are_shortened(tmp_path: Path) -> None:
    edges = [float(edge) for edge in range(101)]
    path = write(tmp_path / "a.json", correction("a", {"pt": "real"}, table([1.0] * 100, {"pt": edges})))
    assert "100 bins: 0, 1, 2, 3, 4, 5, 6, … (87 more) …, 94, 95, 96, 97, 98, 99, 100" in documentation(path, "a")


def test_a_wrong_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean"):
        documentation(write(tmp_path / "muon.json", scale_factor()), TIGHT + "s")
