"""Electron reconstruction, identification and trigger scale factors of the CMS EGamma group.

Files and meaning of the variations: jsonpog-integration, POG/EGM/README; `sfup` and `sfdown` are the factor with its
total uncertainty added and subtracted. Pseudorapidities are those of the supercluster, Electron_eta +
Electron_deltaEtaSC; for the trigger the file says "electron eta", and whose is meant could not be found out.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from ..errors import UserError
from . import loading
from .catalogue import CorrectionRecord
from .evaluation import Floats, ScaleFactor, evaluate_flat, flatten
from .weight_factor import WeightFactor, up_down

#: What an electron of NanoAOD must have for it.
BRANCHES = ("Electron_pt", "Electron_eta", "Electron_deltaEtaSC")
#: Working points of the reconstruction → pt (GeV) from which each is taken.
_RECONSTRUCTION = {"RecoBelow20": 0.0, "RecoAbove20": 20.0, "Reco20to75": 20.0, "RecoAbove75": 75.0}


def electron_scale_factor(
    record: CorrectionRecord, pt: Any, eta_sc: Any, phi: Any = None, *, variation: str = "sf"
) -> tuple[Floats, int, int]:
    """Return the factor data/simulation of each electron, flat `[electrons]`, and the counts of electrons outside.

    Args:
        record: `electron_reco`, `electron_id` or `electron_trigger`.
        pt: GeV, `[events, electrons]` or `[electrons]`.
        eta_sc: of the supercluster, in the shape of pt.
        phi: in the shape of pt; only files that depend on it (2023 and later) need it.
        variation: `sf`, `sfup` or `sfdown`.

    Returns:
        The factors, 1 for electrons outside the range of the file; the number of these (`out_of_range`), and of those
        that the file clamps.

    Raises:
        UserError: the file knows no such variation, or needs phi.
    """
    columns = {"pt": pt, "eta": eta_sc, **({} if phi is None else {"phi": phi})}
    flat, _ = flatten(list(columns.values()))
    inputs = dict(zip(columns, flat, strict=True))
    if record.name != "electron_reco":
        found = _evaluate(record, inputs, record.fixed, variation)
        return np.asarray(found.values), found.out_of_range, found.clamped
    return _reconstruction(record, inputs, variation)


def electron_weight(record: CorrectionRecord, pt: Any, eta_sc: Any, phi: Any = None) -> WeightFactor:
    """Return the product over the electrons of each event, with `<name of the record>Up/Down`.

    Arguments as of `electron_scale_factor`, `[events, electrons]`, jagged or rectangular. An event without electrons
    has the factor 1.
    """
    values, outside, clamped = electron_scale_factor(record, pt, eta_sc, phi)
    up, down = (electron_scale_factor(record, pt, eta_sc, phi, variation=one)[0] for one in ("sfup", "sfdown"))
    nominal, up, down = (_product(one, pt) for one in (values, up, down))
    return WeightFactor(nominal, up_down(record.name, up, down), outside, clamped)


def _reconstruction(record: CorrectionRecord, inputs: dict[str, Floats], variation: str) -> tuple[Floats, int, int]:
    """Evaluate the working point of the range of pt that each electron is in."""
    known = loading.domain(record.path, record.key).choices.get("WorkingPoint", ())
    starts = sorted((start, name) for name, start in _RECONSTRUCTION.items() if name in known)
    if not starts:
        raise UserError(
            f"The file {record.path} has no scale factor of the reconstruction (none of {', '.join(_RECONSTRUCTION)}). "
            "Leave the correction electron_reco out, or use another file."
        )
    place = np.searchsorted([start for start, _ in starts], inputs["pt"], side="right") - 1
    values = np.ones(len(place))
    outside = clamped = 0
    for number, (_, name) in enumerate(starts):
        chosen = place == number
        if number == 0:
            chosen |= place < 0
        part = {key: column[chosen] for key, column in inputs.items()}
        found = _evaluate(record, part, {**record.fixed, "WorkingPoint": name}, variation)
        values[chosen] = found.values
        outside += found.out_of_range
        clamped += found.clamped
    return values, outside, clamped


def _evaluate(
    record: CorrectionRecord, inputs: dict[str, Floats], choices: dict[str, str], variation: str
) -> ScaleFactor:
    return evaluate_flat(record.path, record.key, inputs, variation=variation, choices=choices)


def _product(values: Floats, like: Any) -> Floats:
    """Return `[events]` the product of flat values in the structure of `like`."""
    if isinstance(like, np.ndarray):
        return np.prod(values.reshape(like.shape), axis=1, dtype=np.float64)
    jagged = ak.unflatten(values, ak.num(like, axis=1))
    return np.asarray(ak.to_numpy(ak.prod(jagged, axis=1)), np.float64)
