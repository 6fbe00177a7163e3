"""The trained veto as files: ``model.ubj`` (XGBoost), ``model.onnx``, and ``features.json`` on how to use them."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .crv_settings import Settings
from .crv_table import Array, Table
from .crv_training import Chosen, predict
from .packages import load

#: Version of ``features.json``.
FORMAT = 1
FEATURES, MODEL, ONNX = "features.json", "model.ubj", "model.onnx"
#: The set of ONNX operators that the model is written for, known to every runtime since 2021.
OPERATORS = 15
#: Largest difference of a score between XGBoost and ONNX: both add single-precision numbers, in different order.
TOLERANCE = 1e-6
#: Rows on which both are compared.
CHECKED_ROWS = 20_000


@dataclass(frozen=True)
class Veto:
    """A veto read back from its files.

    Attributes:
        features: columns of what :meth:`scores` takes, in this order.
        threshold: an event is vetoed if a coincidence has a score at or above it.
    """

    features: tuple[str, ...]
    threshold: float
    model: Any
    description: Mapping[str, Any]

    def scores(self, values: Array) -> Array:
        """Return the score of coincidences [R, F], [R]; infinite values count as missing."""
        single = np.asarray(values, dtype=np.float32)
        return predict(self.model, np.where(np.isfinite(single), single, np.float32(np.nan)))


def export(folder: Path, table: Table, chosen: Chosen, settings: Settings, performance: Mapping[str, Any]) -> Path:
    """Write the model files into ``folder`` and return the path of ``features.json``.

    The ONNX file is left out, with its reason in ``features.json``, where its packages are missing.

    Args:
        performance: what is known about the model, for instance efficiency and deadtime with intervals.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = bytes(chosen.model.save_raw("ubj"))
    (folder / MODEL).write_bytes(content)
    described = {
        "format": FORMAT,
        "features": list(table.features),
        "threshold": chosen.threshold.value,
        "model": MODEL,
        "sha256": hashlib.sha256(content).hexdigest(),
        "onnx": _write_onnx(folder / ONNX, table, chosen),
        "dtypes": dict.fromkeys(table.features, "float32"),
        "missing": "NaN; infinite values are to be replaced by NaN",
        "score": "probability that a coincidence is from a cosmic ray",
        "rule": "an event is vetoed if the largest score of its coincidences >= threshold; without coincidence never",
        "trained_on": {
            "samples": [vars(source) for source in table.sources],
            "labels": table.labels,
            "settings": settings.model_dump(mode="json"),
            "booster": chosen.booster.model_dump(mode="json"),
            "target_in_reach": chosen.threshold.reached,
            "validation": vars(chosen.threshold.counts),
            "ranges": _ranges(table),
        },
        "performance": dict(performance),
        "versions": versions(),
    }
    path = folder / FEATURES
    path.write_text(json.dumps(described, indent=2, allow_nan=False) + "\n")
    return path


def _ranges(table: Table) -> dict[str, dict[str, float | None]]:
    """Return what each feature looked like in training, to notice later that it looks different."""
    found: dict[str, dict[str, float | None]] = {}
    for column, name in enumerate(table.features):
        values = table.values[:, column].astype(np.float64)
        known = values[~np.isnan(values)]
        quantiles = np.quantile(known, (0.0, 0.01, 0.5, 0.99, 1.0)) if len(known) else [None] * 5
        keys = ("minimum", "quantile_1", "median", "quantile_99", "maximum")
        found[name] = {key: None if q is None else float(q) for key, q in zip(keys, quantiles, strict=True)}
        found[name]["missing_fraction"] = float(1 - len(known) / max(len(values), 1))
    return found


def versions() -> dict[str, str]:
    """Return the versions of what makes and writes a model."""
    found = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("xgboost", "onnx", "onnxmltools", "onnxruntime"):
        try:
            found[name] = str(load(name).__version__)
        except UserError:
            found[name] = "not installed"
    return found


def _write_onnx(path: Path, table: Table, chosen: Chosen) -> dict[str, Any]:
    """Write the model as ONNX, compare its scores and say what came out."""
    try:
        content = onnx_bytes(chosen.model, len(table.features))
        rows = table.values[:CHECKED_ROWS]
        difference = float(np.abs(onnx_scores(content, rows) - predict(chosen.model, rows)).max(initial=0.0))
    except UserError as error:
        return {"model": None, "reason": str(error)}
    if difference > TOLERANCE:
        return {"model": None, "reason": f"its scores differ from those of XGBoost by up to {difference:.2g}"}
    path.write_bytes(content)
    return {
        "model": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": "features",
        "output": "probabilities",
        "largest_difference": difference,
        "rows_compared": len(rows),
    }


def onnx_bytes(model: Any, n_features: int) -> bytes:
    """Return an XGBoost model as ONNX: input ``features`` [R, F] float32, output ``probabilities`` [R, 2]."""
    convert = load("onnxmltools").convert_xgboost
    tensor = load("onnxmltools.convert.common.data_types").FloatTensorType([None, n_features])
    made = convert(model, name="crv_veto", initial_types=[("features", tensor)], target_opset=OPERATORS)
    return bytes(made.SerializeToString(deterministic=True))


def onnx_scores(content: bytes, values: Array) -> Array:
    """Return the scores [R] that the ONNX runtime gives for coincidences [R, F]."""
    session = load("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"features": np.asarray(values, dtype=np.float32)})
    return np.asarray(probabilities)[:, 1]


def read_veto(path: Path) -> Veto:
    """Read a veto from ``features.json`` or the folder that holds it.

    Raises:
        UserError: a file is missing, of another format, or not what was written.
    """
    file = path / FEATURES if path.is_dir() else path
    described = _description(file)
    model_file = file.parent / str(described["model"])
    try:
        content = model_file.read_bytes()
    except OSError as error:
        raise UserError(f"The model {model_file} named in {file} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise UserError(f"{model_file} is not the model that {file} describes (sha256 differs). Train or copy again.")
    xgboost = load("xgboost")
    try:
        model = xgboost.Booster(model_file=bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise UserError(f"{model_file} is no model that XGBoost {xgboost.__version__} can read: {error}") from error
    return Veto(tuple(described["features"]), float(described["threshold"]), model, described)


def _description(file: Path) -> dict[str, Any]:
    try:
        described = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} cannot be read as the description of a veto: {error}. 'mu2e train' writes one."
        ) from error
    needed = {"format", "features", "threshold", "model", "sha256"}
    if not isinstance(described, dict) or not needed <= described.keys():
        raise UserError(f"{file} is no description of a veto: it must have {', '.join(sorted(needed))}.")
    if described["format"] != FORMAT:
        raise UserError(f"{file} has the format {described['format']}; this version of mucoffea reads {FORMAT}.")
    return described
