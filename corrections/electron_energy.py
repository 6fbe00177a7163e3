"""Electron energy: scale of data, resolution of simulation, and their variations.

Run 3 (files `electronSS_EtDependent` of the CMS EGamma group, https://egammapog.docs.cern.ch/Run3/SaS/): data are
scaled by the compound correction `Scale`; simulation is smeared with the width `smear` of `SmearAndSyst` and a normal
random number. Both uncertainties are of simulation: `electron_scaleUp/Down` multiply pt by 1 ± `escale`,
`electron_resolutionUp/Down` change the width by ± `esmear`.

Run 2 (NanoAOD v9 and earlier): the energy in the file is corrected already, in data and simulation. The branches
`dEscaleUp/Down` and `dEsigmaUp/Down` hold the corrected energy minus the varied one, GeV (CMSSW, electrons_cff.py:
``ecalTrkEnergyPostCorrNew - energyScaleUpNew``): dEscaleUp is negative where up is more energy. In simulation of the
ultra-legacy NanoAODv9 `dEscaleUp/Down` are zero by a fault of the production: `electron_scale` does nothing there,
which `without_effect` tells and a run says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import UserError, closest
from .catalogue import CorrectionRecord
from .evaluation import Array, Floats, evaluate_flat, flatten, unflatten
from .random_numbers import normal

VARIATIONS = ("nominal", "electron_scaleUp", "electron_scaleDown", "electron_resolutionUp", "electron_resolutionDown")
STREAM = "electron energy"
#: Run 2: variation → branch with the change of the energy.
CHANGES = {
    "electron_scaleUp": "dEscaleUp",
    "electron_scaleDown": "dEscaleDown",
    "electron_resolutionUp": "dEsigmaUp",
    "electron_resolutionDown": "dEsigmaDown",
}
_COLUMNS = ("pt", "eta", "deltaEtaSC", "r9", "seedGain")
_SMALLEST = 0.1


class CorrectedPt(NamedTuple):
    """Corrected pt (GeV, float64, shape of the input), and how many electrons were left alone or clamped."""

    pt: Array
    out_of_range: int
    clamped: int = 0


def branches(record: CorrectionRecord | None, *, is_data: bool) -> tuple[str, ...]:
    """Return the branches that `corrected_pt` reads; `record` is None in Run 2."""
    if record is None:
        return ("Electron_pt",)
    return (*(f"Electron_{name}" for name in _COLUMNS[: None if is_data else -1]), *(("run",) if is_data else ()))


def varied_branches(record: CorrectionRecord | None) -> tuple[str, ...]:
    """Return the branches that the variations of simulation read beside these."""
    if record is not None:
        return ()
    return ("Electron_eta", "Electron_mass", *(f"Electron_{name}" for name in CHANGES.values()))


def corrected_pt(
    record: CorrectionRecord | None,
    electrons: Any,
    *,
    identity: Any,
    index: Any,
    is_data: bool,
    run: Any = None,
    variation: str = "nominal",
) -> CorrectedPt:
    """Return the corrected pt of each electron, in the shape of the columns (`[events, electrons]`, or flat), GeV.

    Args:
        record: `electron_energy` of the catalogue; None in Run 2, where the file has the corrected energy.
        electrons: columns pt, eta, deltaEtaSC, r9 and seedGain; Run 2: pt and, for variations, eta, mass and `CHANGES`.
        identity: events (or run, luminosity block, event), `[events]`; of each electron where they are flat.
        index: position of each electron in its event, as in the file.
        is_data: whether the electrons are data.
        run: run of each electron, in the shape of pt; data of Run 3 need it.
        variation: one of `VARIATIONS`.

    Electrons for which the correction is undefined keep their pt and are counted in `out_of_range`; those beyond the
    bins of the file are counted in `clamped`. Raises UserError for another variation, one of data, or data without
    runs.
    """
    if variation not in VARIATIONS:
        raise UserError(
            f"The energy of electrons has no variation '{variation}'.{closest(variation, VARIATIONS)} Use one of: "
            f"{', '.join(VARIATIONS)}."
        )
    if is_data and variation != "nominal":
        raise UserError(f"The energy of electrons is varied in simulation only; '{variation}' was asked of data.")
    if record is None:
        return _run2(electrons, variation)
    names = _COLUMNS if is_data else _COLUMNS[:-1]
    flat, counts = flatten([electrons[name] for name in names])
    columns = dict(zip(names, flat, strict=True))
    inputs = {"pt": columns["pt"], "ScEta": columns["eta"] + columns["deltaEtaSC"], "r9": columns["r9"]}
    if is_data:
        if run is None:
            raise UserError("The energy scale of electrons in data depends on the run, which was not given.")
        found = _scaled(record, {**inputs, "run": flatten([run])[0][0], "seedGain": columns["seedGain"]})
    else:
        number = flatten([normal(identity, stream=STREAM, index=index)])[0][0]
        found = _smeared(record, inputs, number, variation)
    return found._replace(pt=unflatten(found.pt, counts))


def without_effect(electrons: Any, variation: str) -> bool:
    """Whether the branch of a variation of Run 2 is zero for all of the electrons, of which there are some."""
    (change,), _ = flatten([electrons[CHANGES[variation]]])
    return bool(len(change)) and not change.any()


def _scaled(record: CorrectionRecord, inputs: dict[str, Floats]) -> CorrectedPt:
    scale = evaluate_flat(record.path, record.keys["scale"], inputs, variation="scale", default=np.nan)
    return _result(inputs["pt"], np.asarray(scale.values), scale.clamped)


def _smeared(record: CorrectionRecord, inputs: dict[str, Floats], number: Floats, variation: str) -> CorrectedPt:
    def value(name: str) -> Any:
        return evaluate_flat(record.path, record.keys["smearing"], inputs, variation=name, default=np.nan)

    width = value("smear")
    sign = 1.0 if variation.endswith("Up") else -1.0
    sigma = np.asarray(width.values)
    if variation.startswith("electron_resolution"):
        sigma = np.maximum(sigma + sign * value("esmear").values, 0.0)
    factor = 1.0 + sigma * number
    if variation.startswith("electron_scale"):
        factor = factor * (1.0 + sign * value("escale").values)
    return _result(inputs["pt"], factor, width.clamped)


def _run2(electrons: Any, variation: str) -> CorrectedPt:
    if variation == "nominal":
        (pt,), counts = flatten([electrons["pt"]])
        return CorrectedPt(unflatten(pt, counts), 0)
    column = CHANGES[variation]
    if column not in electrons.fields:
        raise UserError(
            f"The variation {variation} needs the branch Electron_{column}, which NanoAODv9 has and this file does not."
            f"{closest(column, electrons.fields)} Leave the systematic out."
        )
    (pt, eta, mass, change), counts = flatten([electrons[name] for name in ("pt", "eta", "mass", column)])
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    # The branch is the corrected energy minus the varied one.
    found = _result(pt, 1.0 - np.divide(change, energy, out=np.zeros(len(pt)), where=energy > 0), 0)
    return found._replace(pt=unflatten(found.pt, counts))


def _result(pt: Floats, factor: Floats, clamped: int) -> CorrectedPt:
    usable = np.isfinite(factor) & (factor > _SMALLEST)
    return CorrectedPt(np.where(usable, pt * factor, pt), int(np.count_nonzero(~usable)), clamped)
