"""Small tables of coincidences with known distributions, as the analysis ``mu2e_coincidences`` writes them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

COLUMNS = (
    "dT",
    "crv_x",
    "crv_y",
    "crv_z",
    "PEs",
    "nHits",
    "nLayers",
    "angle",
    "timeStart",
    "timeEnd",
    "crv_time",
    "sector",
    "PEs_per_hit",
    "t0",
    "d0",
    "tanDip",
    "maxr",
    "mom_mag",
)


def coincidences(kind: str, events: int, *, seed: int = 1, missed: float = 0.0, pile_up: float = 0.6) -> pa.Table:
    """Return a table of ``events`` cosmics (``kind`` is ``cosmic``) or conversion electrons, both with pile-up.

    Args:
        missed: fraction of the cosmics that the veto counter does not see.
        pile_up: mean number of coincidences of the beam in an event.
    """
    random = np.random.default_rng((seed, kind == "cosmic"))
    seen = (random.random(events) >= missed) & (kind == "cosmic")
    beam = random.poisson(pile_up, events)
    event = np.repeat(np.arange(events), np.maximum(seen + beam, 1))
    first = np.r_[True, event[1:] != event[:-1]]
    truth = first & seen[event]
    present = ~first | (seen + beam > 0)[event]
    rows = {name: np.where(present, values, np.nan) for name, values in _values(random, truth).items()}
    rows["PEs_per_hit"] = rows["PEs"] / rows["nHits"]
    key = {"run": np.full(len(event), 1202), "subrun": event // 100, "event": event}
    columns = {name: values.astype(np.int32) for name, values in key.items()}
    columns |= {name: rows[name] for name in COLUMNS}
    return pa.table(columns | {"has_coincidence": present, "is_cosmic": truth})


def _values(random: np.random.Generator, truth: np.ndarray) -> dict[str, np.ndarray]:
    size = len(truth)

    def either(cosmic: np.ndarray, beam: np.ndarray) -> np.ndarray:
        return np.where(truth, cosmic, beam)

    time = random.uniform(500, 1600, size)
    delay = either(random.normal(48, 18, size), random.uniform(-300, 500, size))
    hits = either(random.poisson(9, size) + 4, random.poisson(4, size) + 3)
    return {
        "dT": delay,
        "crv_x": either(random.normal(0, 1500, size), random.normal(-500, 2200, size)),
        "crv_y": either(random.normal(2700, 150, size), random.normal(1200, 1200, size)),
        "crv_z": either(random.normal(8000, 4000, size), random.normal(13_000, 3000, size)),
        "PEs": np.exp(either(random.normal(6.2, 0.5, size), random.normal(4.6, 0.6, size))),
        "nHits": hits,
        "nLayers": either(random.integers(3, 5, size), random.integers(2, 5, size)),
        "angle": np.where(random.random(size) < 0.02, np.inf, random.normal(0, 0.6, size)),
        "timeStart": time - delay - 10,
        "timeEnd": time - delay + 40,
        "crv_time": time - delay,
        "sector": random.integers(0, 8, size),
        "t0": time,
        "d0": random.normal(0, 40, size),
        "tanDip": random.normal(0.8, 0.1, size),
        "maxr": random.normal(550, 40, size),
        "mom_mag": random.normal(104, 1, size),
    }


def two_gaussians(events: int, distance: float, *, seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Return both samples with one coincidence an event that only dT tells apart, by ``distance`` standard deviations.

    The best score there is has an area under the ROC curve of Φ(distance / √2).
    """
    tables = []
    for kind in ("cosmic", "electron"):
        table = coincidences(kind, events, seed=seed, pile_up=0.0)
        random = np.random.default_rng((seed, 7, kind == "cosmic"))
        for name in COLUMNS:
            values = random.normal(distance if kind == "cosmic" and name == "dT" else 0.0, 1.0, events)
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        everywhere = pa.array(np.ones(events, dtype=bool))
        tables.append(table.set_column(table.column_names.index("has_coincidence"), "has_coincidence", everywhere))
    return tables[0], tables[1]
