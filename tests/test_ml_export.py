"""The model files: what is written is what was trained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.ml import crv_export
from mucoffea.ml.crv_evaluation import event_scores
from mucoffea.ml.crv_settings import Booster, Settings
from mucoffea.ml.crv_table import Table, build_table
from mucoffea.ml.crv_training import Chosen, predict, train_final

from .support.coincidences import coincidences

pytest.importorskip("xgboost", reason="the extra ml is not installed")

SETTINGS = Settings(booster=Booster(rounds=60), target=0.99, threads=1)


@pytest.fixture(scope="module")
def table() -> Table:
    return build_table(coincidences("cosmic", 800), coincidences("electron", 800, pile_up=1.0), SETTINGS)


@pytest.fixture(scope="module")
def chosen(table: Table) -> Chosen:
    return train_final(table, SETTINGS)


def test_the_files_give_the_scores_and_decisions_back(tmp_path: Path, table: Table, chosen: Chosen) -> None:
    veto = crv_export.read_veto(crv_export.export(tmp_path, table, chosen, SETTINGS, {}))
    scores = veto.scores(table.values)
    assert scores.tobytes() == predict(chosen.model, table.values).tobytes()
    assert veto.features == SETTINGS.features
    events = event_scores(scores, table.event, table.n_events)
    assert np.count_nonzero(events >= veto.threshold) > 700
    infinite = np.where(np.isnan(table.values), np.inf, table.values)
    assert veto.scores(infinite).tobytes() == scores.tobytes()


def test_onnx_gives_the_same_scores(tmp_path: Path, table: Table, chosen: Chosen) -> None:
    pytest.importorskip("onnxmltools", reason="the extra ml is not installed")
    pytest.importorskip("onnxruntime", reason="the extra ml is not installed")
    described = json.loads(crv_export.export(tmp_path, table, chosen, SETTINGS, {}).read_text())
    content = (tmp_path / "model.onnx").read_bytes()
    assert described["onnx"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert np.isnan(table.values).any()
    difference = crv_export.onnx_scores(content, table.values) - predict(chosen.model, table.values)
    assert np.abs(difference).max() < 1e-6
    assert np.abs(difference).max() == pytest.approx(described["onnx"]["largest_difference"])


def test_the_description_says_how_the_model_was_made(tmp_path: Path, table: Table, chosen: Chosen) -> None:
    path = crv_export.export(tmp_path, table, chosen, SETTINGS, {"efficiency": 0.99})
    described = json.loads(path.read_text())
    assert (described["format"], described["model"]) == (1, "model.ubj")
    assert described["features"] == list(SETTINGS.features)
    assert described["sha256"] == hashlib.sha256((tmp_path / "model.ubj").read_bytes()).hexdigest()
    assert described["performance"] == {"efficiency": 0.99}
    assert described["trained_on"]["labels"] == "truth"
    assert described["trained_on"]["ranges"]["angle"]["missing_fraction"] > 0
    assert Settings.model_validate(described["trained_on"]["settings"]) == SETTINGS
    assert described["versions"]["xgboost"]


def test_the_same_training_gives_the_same_files(tmp_path: Path, table: Table, chosen: Chosen) -> None:
    crv_export.export(tmp_path / "one", table, chosen, SETTINGS, {})
    crv_export.export(tmp_path / "two", table, train_final(table, SETTINGS), SETTINGS, {})
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"features.json", "model.ubj"} <= set(files)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_without_onnx_the_reason_is_written(
    tmp_path: Path, table: Table, chosen: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = crv_export.load

    def without(name: str) -> object:
        if name.startswith("onnx"):
            raise UserError("not here: pip install 'mucoffea[ml]'")
        return whole(name)

    monkeypatch.setattr(crv_export, "load", without)
    described = json.loads(crv_export.export(tmp_path, table, chosen, SETTINGS, {}).read_text())
    assert described["onnx"] == {"model": None, "reason": "not here: pip install 'mucoffea[ml]'"}
    assert described["versions"]["onnx"] == "not installed"
    assert not (tmp_path / "model.onnx").exists()


def test_files_that_were_changed_are_refused(tmp_path: Path, table: Table, chosen: Chosen) -> None:
    path = crv_export.export(tmp_path, table, chosen, SETTINGS, {})
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"format": 2}))
    with pytest.raises(UserError, match="has the format 2"):
        crv_export.read_veto(tmp_path)
    path.write_text(json.dumps({"format": 1}))
    with pytest.raises(UserError, match="no description of a veto"):
        crv_export.read_veto(path)
    path.write_text("{")
    with pytest.raises(UserError, match="cannot be read as the description"):
        crv_export.read_veto(path)
    garbage = b"no model"
    (tmp_path / "model.ubj").write_bytes(garbage)
    path.write_text(json.dumps(described))
    with pytest.raises(UserError, match="sha256 differs"):
        crv_export.read_veto(path)
    path.write_text(json.dumps(described | {"sha256": hashlib.sha256(garbage).hexdigest()}))
    with pytest.raises(UserError, match="no model that XGBoost"):
        crv_export.read_veto(path)
    (tmp_path / "model.ubj").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        crv_export.read_veto(path)
