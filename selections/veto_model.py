"""A trained CRV veto as a cut: an XGBoost (.ubj, .json) or ONNX (.onnx) model with the schema of its features.

The schema is ``features.json`` beside the model, or ``<model>.features.json``: ``{"features": [names, in order],
"threshold": default threshold, …}``. The model is loaded at its first use, once in each worker process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UserError

Scorer = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]
SUFFIXES = (".ubj", ".json", ".onnx")
SCHEMA = "features.json"


def checksum(path: Path) -> str:
    """Return the sha256 of the model and its schema together.

    Raises:
        UserError: one of them is not there.
    """
    digest = hashlib.sha256()
    for part in (path, schema_path(path)):
        try:
            digest.update(part.read_bytes())
        except OSError as error:
            raise UserError(f"The veto model {path} cannot be read: {part}: {error.strerror}.") from error
    return digest.hexdigest()


def model_path(path: Path) -> Path:
    """Return the model that ``path`` means: itself, or the one that a schema, or the folder of one, names.

    Raises:
        UserError: the schema cannot be read, or names none.
    """
    inside = path / "model" / SCHEMA  # a study, with its model in a folder
    where = inside if inside.is_file() else path / SCHEMA if path.is_dir() else path
    if where.name != SCHEMA:
        return path
    name = _read(where).get("model")
    if not isinstance(name, str):
        raise UserError(f"{where}: 'model' must be the name of the model's file, beside this one.")
    return where.with_name(name)


def schema_path(path: Path) -> Path:
    """Return where the schema of the model ``path`` is."""
    own = path.with_name(f"{path.stem}.features.json")
    return own if own.exists() else path.with_name(SCHEMA)


@lru_cache(maxsize=8)
def schema(path: Path, _sha256: str = "") -> Mapping[str, Any]:
    """Return the schema of the model ``path``.

    Raises:
        UserError: it is not there, or has no list of features.
    """
    where = schema_path(path)
    found = _read(where)
    names = found.get("features")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: 'features' must be the list of the model's inputs, in their order.")
    return found


def _read(where: Path) -> dict[str, Any]:
    try:
        found = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The schema of the veto model cannot be read: {where}: {error}.") from error
    if not isinstance(found, dict):
        raise UserError(f"{where} must hold the schema of a veto model: 'features', 'threshold', 'model'.")
    return found


def score(path: Path, columns: Mapping[str, npt.NDArray[Any]], sha256: str = "") -> npt.NDArray[np.float64]:
    """Return the score of each row of ``columns``, name → ``[rows]``; infinite values are given as NaN.

    ``sha256`` is that of the file when the run was planned: another file is an error, not another result.

    Raises:
        UserError: the model cannot be read, has changed, or needs a feature that ``columns`` lacks.
    """
    names = schema(path, sha256)["features"]
    missing = [name for name in names if name not in columns]
    if missing:
        raise UserError(
            f"The veto model {path} needs {', '.join(missing)}, which no coincidence has. Known: {', '.join(columns)}."
        )
    rows = np.stack([np.asarray(columns[name], dtype=np.float32) for name in names], axis=1)
    rows[~np.isfinite(rows)] = np.nan
    if not len(rows):
        return np.zeros(0)
    return _scorer(path, sha256)(rows)


@lru_cache(maxsize=8)
def _scorer(path: Path, sha256: str) -> Scorer:
    if path.suffix not in SUFFIXES:
        raise UserError(f"The veto model {path} must end in one of {', '.join(SUFFIXES)}.")
    if sha256 and checksum(path) != sha256:
        raise UserError(f"The veto model {path} has changed since the run began. Start a new run with the new model.")
    return _onnx(path) if path.suffix == ".onnx" else _xgboost(path)


def _xgboost(path: Path) -> Scorer:
    try:
        import xgboost
    except ImportError as error:
        raise UserError(f"The veto model {path} needs xgboost. Install it: pip install 'mucoffea[ml]'.") from error
    booster = xgboost.Booster()
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError as error:
        raise UserError(f"The veto model {path} is no model of XGBoost: {str(error).splitlines()[0]}") from error
    # The workers are processes; each has one core.
    booster.set_param({"nthread": 1})
    return lambda rows: np.asarray(booster.inplace_predict(rows), dtype=np.float64)


def _onnx(path: Path) -> Scorer:
    try:
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise UserError(f"The veto model {path} needs onnxruntime. Install it: pip install onnxruntime.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, one a kind of fault
        raise UserError(f"The veto model {path} is no ONNX model: {error}.") from error
    entry = session.get_inputs()[0].name

    def scores(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        found = np.asarray(session.run(None, {entry: rows})[-1], dtype=np.float64)
        return found[:, -1] if found.ndim > 1 else found

    return scores
