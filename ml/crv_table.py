"""The table of coincidences that the study of the cosmic-ray veto learns from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import UserError, closest
from .crv_settings import Settings

Array = np.ndarray[Any, np.dtype[Any]]

KEY = ("run", "subrun", "event")
#: Truth of each coincidence: made by a cosmic ray, and not by pile-up of the beam.
TRUTH = "is_cosmic"
PRESENT = "has_coincidence"


@dataclass(frozen=True)
class Source:
    """Where one sample came from."""

    path: str
    dataset: str
    sha256: str
    rows: int
    events: int
    events_without_coincidence: int


@dataclass(frozen=True)
class Table:
    """Coincidences [R] and their events [E] of both samples, in an order that does not depend on that of the input.

    Attributes:
        features: names of the columns of ``values``.
        values: [R, F] float32; what is missing or infinite is NaN.
        dt: [R] time from the coincidence to the track [ns]; NaN where it is missing.
        label: [R] True for what is to be learnt as a cosmic ray.
        event: [R] index of the event.
        cosmic: [E] True for events of the sample of cosmics.
        key: run, subrun, event [E], unique together with ``cosmic``.
        labels: ``truth`` or ``sample``.
    """

    features: tuple[str, ...]
    values: Array
    dt: Array
    label: Array
    event: Array
    cosmic: Array
    key: dict[str, Array]
    sources: tuple[Source, ...]
    labels: str
    warnings: tuple[str, ...] = ()

    @property
    def n_events(self) -> int:
        return len(self.cosmic)

    def with_features(self, names: tuple[str, ...]) -> Table:
        """Return the same table with some of its features only."""
        columns = [self.features.index(name) for name in names]
        return replace(self, features=names, values=np.ascontiguousarray(self.values[:, columns]))


def read_table(cosmic: Path, beam: Path, settings: Settings) -> Table:
    """Read both samples: Parquet files, or result folders that hold one.

    Args:
        cosmic: events with a cosmic ray that looks like the signal.
        beam: signal-like conversion electrons with the pile-up of the beam.

    Raises:
        UserError: a file or a column is missing or of the wrong kind, or the samples cannot be told apart.
    """
    paths = [find_columns(path) for path in (cosmic, beam)]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if hashes[0] == hashes[1]:
        raise UserError(
            f"{paths[0]} and {paths[1]} have the same content. Give the cosmics first and the conversion "
            f"electrons with pile-up second."
        )
    tables = [_read(path) for path in paths]
    table = build_table(tables[0], tables[1], settings, names=paths, hashes=hashes)
    incomplete = [f"The result {path} is not complete: events are missing." for path in (cosmic, beam) if _lacks(path)]
    return replace(table, warnings=(*table.warnings, *incomplete))


def _lacks(path: Path) -> bool:
    """Return whether the result folder ``path`` says that it is not complete."""
    try:
        return bool(json.loads((path / "report.json").read_text(encoding="utf-8"))["status"] != "complete")
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no result folder, but files


def find_columns(path: Path) -> Path:
    """Return the Parquet file ``path``, or that of the result folder ``path``.

    Raises:
        UserError: there is none, or there are several.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise UserError(f"There is no file or folder {path}. Give a result of mu2e_coincidences or its Parquet file.")
    found = sorted([*path.glob("columns/*.parquet"), *path.glob("*.parquet")])
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(
            f"{path} holds no columns/*.parquet. Make a result with --processor mu2e_coincidences, or give a file."
        )
    raise UserError(
        f"{path} holds several samples ({', '.join(file.name for file in found)}). Give the one that is meant, "
        f"for instance {found[0]}."
    )


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet: {error}") from error


def build_table(
    cosmic: pa.Table,
    beam: pa.Table,
    settings: Settings,
    *,
    names: list[Path] | None = None,
    hashes: list[str] | None = None,
) -> Table:
    """Make the table from the Arrow tables of both samples; see :func:`read_table`."""
    paths = names or [Path("cosmics"), Path("conversion_electrons")]
    labels, warnings = _kind_of_labels(cosmic, settings.labels, paths[0])
    parts = [
        _sample(table, str(path), settings.features, labels, is_cosmic=kind)
        for table, path, kind in zip((cosmic, beam), paths, (True, False), strict=True)
    ]
    sources = tuple(
        replace(part.sources[0], sha256=digest) for part, digest in zip(parts, hashes or ["", ""], strict=True)
    )
    offset = parts[0].n_events
    return Table(
        features=settings.features,
        values=np.concatenate([part.values for part in parts]),
        dt=np.concatenate([part.dt for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        event=np.concatenate([parts[0].event, parts[1].event + offset]),
        cosmic=np.concatenate([part.cosmic for part in parts]),
        key={name: np.concatenate([part.key[name] for part in parts]) for name in KEY},
        sources=sources,
        labels=labels,
        warnings=warnings,
    )


def _kind_of_labels(cosmic: pa.Table, wanted: str, path: Path) -> tuple[str, tuple[str, ...]]:
    if TRUTH in cosmic.column_names and wanted != "sample":
        return "truth", ()
    if wanted == "truth":
        raise UserError(f"{path} has no column '{TRUTH}', so labels from truth cannot be had. Use labels = 'sample'.")
    return "sample", (
        "Coincidences are labelled by their sample, not by truth: the model can learn differences between the samples "
        "that have nothing to do with cosmic rays.",
    )


def _sample(table: pa.Table, path: str, features: tuple[str, ...], labels: str, *, is_cosmic: bool) -> Table:
    """Return one sample as a table, its rows sorted by event and content."""
    _check_columns(table, path, features)
    present = _present(table)
    keys = np.stack([_integers(table, name, path) for name in KEY], axis=1)
    unique, event = np.unique(keys, axis=0, return_inverse=True)
    values = np.stack([_single_precision(_floats(table, name, path)) for name in features], axis=1)
    dt = _floats(table, "dT", path)
    label = np.full(len(present), is_cosmic)
    if labels == "truth" and TRUTH in table.column_names:
        label = _booleans(table, TRUTH)
    order = np.lexsort((label, dt, *values.T[::-1], event))
    order = order[present[order]]
    without = len(unique) - len(np.unique(event[present]))
    source = Source(path, Path(path).stem, "", int(present.sum()), len(unique), without)
    return Table(
        features=features,
        values=values[order],
        dt=dt[order],
        label=label[order],
        event=event[order],
        cosmic=np.full(len(unique), is_cosmic),
        key={name: unique[:, column] for column, name in enumerate(KEY)},
        sources=(source,),
        labels=labels,
    )


def _check_columns(table: pa.Table, path: str, features: tuple[str, ...]) -> None:
    for name in (*KEY, "dT", *features):
        if name not in table.column_names:
            raise UserError(
                f"{path} has no column '{name}'.{closest(name, table.column_names)} A table of coincidences comes "
                f"from --processor mu2e_coincidences."
            )
    if table.num_rows == 0:
        raise UserError(f"{path} has no rows: no event was selected, so there is nothing to learn from.")


def _present(table: pa.Table) -> Array:
    """Return [R] False for rows that only count an event without coincidence."""
    if PRESENT in table.column_names:
        return _booleans(table, PRESENT)
    position = [name for name in ("PEs", "nHits", "dT") if name in table.column_names]
    return np.logical_or.reduce([~np.isnan(_floats(table, name, "")) for name in position])


def _booleans(table: pa.Table, name: str) -> Array:
    return pc.fill_null(table[name].cast(pa.bool_()), False).to_numpy().astype(bool)


def _integers(table: pa.Table, name: str, path: str) -> Array:
    column = table[name]
    if column.null_count or not pa.types.is_integer(column.type):
        raise UserError(f"The column '{name}' of {path} must hold an integer in every row; it is {column.type}.")
    return column.to_numpy().astype(np.int64)


def _floats(table: pa.Table, name: str, path: str) -> Array:
    """Return a column as float64 with NaN for what is missing or infinite."""
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        raise UserError(f"The column '{name}' of {path} must hold numbers; it is {column.type}.")
    values = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _single_precision(values: Array) -> Array:
    """Return float32, as the model takes it; what is too large for it is missing."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return np.where(np.isfinite(single), single, np.float32(np.nan))
