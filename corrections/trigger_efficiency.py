"""Trigger scale factors of events with several muons, from the efficiencies of single muons in data and simulation.

A muon fires a path, or a leg of a path, with the efficiency ε of its pt and eta, independently of the other muons
(what the legs share otherwise, such as a common vertex, belongs into an efficiency of its own). Then the event fires

* a single-muon path with P = 1 − Π (1 − ε);
* a double-muon path, whose leading leg (L) is stricter than its trailing leg (T), with
  P = 1 − Π (1 − ε^L) − Σ_i ε_i^L Π_{j≠i} (1 − ε_j^T): one muon passes the leading leg, and not it alone the trailing
  one. For two muons that is ε_1^L ε_2^T + ε_1^T ε_2^L − ε_1^L ε_2^L;
* either of them, where a muon that fires the single-muon path (S) passes the leading leg too, with
  P = 1 − Π (1 − ε^L) − Σ_i (ε_i^L − ε_i^S) Π_{j≠i} (1 − ε_j^T).

The factor of an event is P in data over P in simulation. It goes to simulated events that have fired.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator

from ..errors import UserError
from . import loading
from .evaluation import Array, Floats, evaluate_flat, flatten
from .weight_factor import WeightFactor, up_down

#: What a muon of NanoAOD must have for it.
BRANCHES = ("Muon_pt", "Muon_eta")
_SAMPLES = ("data", "mc")
_PARTS = ("stat", "syst")


class MuonTrigger(BaseModel):
    """A single-muon path, a double-muon path by its two legs, or either of them.

    Args:
        file: correctionlib file with the efficiencies `<path>_data` and `<path>_mc` of each path or leg named here:
            inputs pt (GeV) and eta or abseta, and the text input `scale_factors` with `nominal`, `stat` (uncertainty)
            and, if there is one, `syst`.
        single: the single-muon path.
        leading: the stricter leg of the double-muon path.
        trailing: the other leg; events need one muon more for it.
        name: of the correction; its variations are `<name>_statUp/Down` and `<name>_systUp/Down`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    single: str | None = None
    leading: str | None = None
    trailing: str | None = None
    name: str = "muon_trigger"

    @model_validator(mode="after")
    def _whole(self) -> MuonTrigger:
        if (self.leading is None) != (self.trailing is None):
            raise ValueError("a double-muon trigger has a leading and a trailing leg: name both, or none")
        if self.single is None and self.leading is None:
            raise ValueError("a muon trigger needs a single-muon path, or both legs of a double-muon path")
        return self

    @property
    def legs(self) -> dict[str, str]:
        """Return the names in the file by role."""
        roles = {"single": self.single, "leading": self.leading, "trailing": self.trailing}
        return {role: name for role, name in roles.items() if name is not None}


class _Table(NamedTuple):
    """An efficiency of the muons, `[events, muons]` filled up with 0, and its uncertainties."""

    nominal: Floats
    errors: dict[str, Floats]
    unknown: npt.NDArray[np.bool_]
    clamped: int

    def shifted(self, part: str, sign: float) -> Floats:
        return np.clip(self.nominal + sign * self.errors[part], 0.0, 1.0)


def single_muon(efficiency: Array) -> Floats:
    """Return the probability of each event, `[events]`, to fire a single-muon path.

    `efficiency` of each muon, `[events, muons]`, between 0 and 1; jagged, or rectangular filled up with 0.
    """
    return 1.0 - np.prod(1.0 - _rectangular(efficiency), axis=1)


def double_muon(leading: Array, trailing: Array) -> Floats:
    """Return the probability of each event, `[events]`, to fire a double-muon path.

    The efficiencies of both legs are as that of `single_muon`. A muon passes the trailing leg if it passes the leading
    one, so `leading` is not above `trailing`.
    """
    return single_or_double(np.zeros_like(_rectangular(leading)), leading, trailing)


def single_or_double(single: Array, leading: Array, trailing: Array) -> Floats:
    """Return the probability of each event, `[events]`, to fire a single-muon or a double-muon path.

    The efficiencies are as that of `single_muon`, with `single` ≤ `leading` ≤ `trailing`: a muon that fires the
    single-muon path passes both legs.
    """
    first, second, third = (_rectangular(one) for one in (single, leading, trailing))
    missed = np.prod(1.0 - second, axis=1)
    for muon in range(first.shape[1]):
        others = np.prod(1.0 - np.delete(third, muon, axis=1), axis=1)
        missed = missed + (second[:, muon] - first[:, muon]) * others
    return np.asarray(1.0 - missed)


def trigger_weight(trigger: MuonTrigger, pt: Array, eta: Array) -> WeightFactor:
    """Return the factor of each event, `[events]`: the probability to fire in data over that in simulation.

    `pt` (GeV) and `eta` are those of all muons that may have fired, `[events, muons]`, jagged or rectangular.

    The variations move one uncertainty of all muons and legs of an event together; data and simulation, which are
    measured apart, are added in quadrature. A file without `syst` leaves `<name>_syst` at the nominal factor. A muon
    outside the range of the file fires nothing and is counted in `out_of_range`; an event that simulation cannot fire
    has the factor 1, and is counted there too if not for such a muon. Muons beyond the bins, and those whose leading
    leg has the higher efficiency (which is then taken for the trailing one too), are counted in `clamped`. Raises
    UserError if the file lacks an efficiency, or has one that is not between 0 and 1.
    """
    (pt_flat, eta_flat), _ = flatten([pt, eta])
    counts = _counts(pt)
    place = {"pt": pt_flat, "eta": eta_flat}
    tables = {
        sample: {role: _table(trigger, f"{name}_{sample}", place, counts) for role, name in trigger.legs.items()}
        for sample in _SAMPLES
    }
    every = [table for legs in tables.values() for table in legs.values()]
    data, simulation = (_probability(_nominal(tables[sample])) for sample in _SAMPLES)
    fires = simulation > 0
    below = np.where(fires, simulation, 1.0)
    factor = np.where(fires, data / below, 1.0)
    variations: dict[str, Floats] = {}
    for part in _PARTS:
        errors = [_error(tables[sample], part) / below for sample in _SAMPLES]
        error = np.where(fires, np.hypot(errors[0], factor * errors[1]), 0.0)
        variations |= up_down(f"{trigger.name}_{part}", factor + error, factor - error)
    unknown = np.logical_or.reduce([table.unknown for table in every])
    unmoved = ~fires & ~unknown.any(axis=1) & (counts > 0)
    clamped = max(table.clamped for table in every) + sum(_disordered(tables[sample]) for sample in _SAMPLES)
    return WeightFactor(factor, variations, int(unknown.sum() + unmoved.sum()), clamped)


def _probability(legs: dict[str, Floats]) -> Floats:
    """Return the probability to fire, `[events]`; the looser of two legs is not taken less efficient."""
    if "leading" not in legs:
        return single_muon(legs["single"])
    single = legs.get("single", np.zeros_like(legs["leading"]))
    leading = np.maximum(legs["leading"], single)
    return single_or_double(single, leading, np.maximum(legs["trailing"], leading))


def _nominal(tables: dict[str, _Table]) -> dict[str, Floats]:
    return {role: table.nominal for role, table in tables.items()}


def _error(tables: dict[str, _Table], part: str) -> Floats:
    """Return the uncertainty of the probability, `[events]`: half of the way from all efficiencies down to all up."""
    up, down = (
        _probability({role: table.shifted(part, sign) for role, table in tables.items()}) for sign in (1.0, -1.0)
    )
    return 0.5 * (up - down)


def _disordered(tables: dict[str, _Table]) -> int:
    """Return the number of muons whose stricter leg is the more efficient one."""
    ordered = [tables[role].nominal for role in ("single", "leading", "trailing") if role in tables]
    wrong = [strict > loose for strict, loose in pairwise(ordered)]
    return int(np.count_nonzero(np.logical_or.reduce(wrong))) if wrong else 0


def _table(trigger: MuonTrigger, key: str, place: dict[str, Floats], counts: npt.NDArray[np.int64]) -> _Table:
    nominal = evaluate_flat(trigger.file, key, place, variation="nominal", default=np.nan)
    values = np.asarray(nominal.values)
    unknown = ~np.isfinite(values)
    values = np.where(unknown, 0.0, values)
    if bool(((values < 0) | (values > 1)).any()):
        raise UserError(
            f"The efficiency '{key}' of {trigger.file} is {values[(values < 0) | (values > 1)][0]:.4g} for a muon: an "
            "efficiency is between 0 and 1. The file may hold scale factors; take the efficiencies of data and "
            "simulation."
        )
    known = loading.domain(trigger.file, key).choices.get("scale_factors", ())
    errors = {}
    for part in _PARTS:
        error = np.zeros(len(values))
        if part in known:
            found = evaluate_flat(trigger.file, key, place, variation=part, default=0.0).values
            error = np.where(unknown, 0.0, np.nan_to_num(np.asarray(found)))
        errors[part] = _filled(error, counts)
    return _Table(_filled(values, counts), errors, _filled(unknown, counts).astype(bool), nominal.clamped)


def _counts(array: Array) -> npt.NDArray[np.int64]:
    if isinstance(array, np.ndarray):
        return np.full(array.shape[0], array.shape[1], np.int64)
    return np.asarray(ak.to_numpy(ak.num(array, axis=1)), np.int64)


def _filled(values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> Floats:
    """Return flat values as `[events, muons]`, filled up with 0."""
    filled = np.zeros((len(counts), int(counts.max(initial=0))))
    filled[np.arange(filled.shape[1]) < counts[:, None]] = values
    return filled


def _rectangular(efficiency: Array) -> Floats:
    if isinstance(efficiency, np.ndarray):
        return np.asarray(efficiency, np.float64)
    return _filled(flatten([efficiency])[0][0], _counts(efficiency))
