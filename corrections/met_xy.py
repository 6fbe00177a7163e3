"""The modulation of the missing momentum in phi ("xy correction"): a shift of the MET vector, linear in the number of
vertices.

The payloads take the type-1 corrected MET and are made from data and simulation, for each era or run period (JetMET
group; origin: CMS-JME-17-001, JINST 14 (2019) P07004). The shift does not depend on the
MET, so that it commutes with propagation and with the variations of `met.py`; it is applied once, to data and to
simulation.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import UserError, closest
from .catalogue import CorrectionRecord
from .evaluation import Floats, evaluate_flat
from .met import Met, wrapped

#: Statistical uncertainties of the shift along x and y, in files that have them (Run 3): variation → suffix in the
#: file. The formulas there (2022) take a component of the MET where the number of vertices is expected, so that the
#: uncertainty grows with the MET: ask the JetMET group before you quote it.
VARIATIONS = {
    "met_xy_stat_xUp": "_stat_xup",
    "met_xy_stat_xDown": "_stat_xdn",
    "met_xy_stat_yUp": "_stat_yup",
    "met_xy_stat_yDown": "_stat_ydn",
}
#: Simulation: the shift for another pile-up, which belongs to the variation of the pile-up weight.
PILEUP = {"pileupUp": "pu_up", "pileupDown": "pu_dn"}


class CorrectedMet(NamedTuple):
    """The MET, `[events]` each, and how many events are not what the file was made for.

    `out_of_range`: left unchanged (MET or run outside the file's range, runs between its periods, no finite value).
    `clamped`: more vertices than the correction is made for; the largest number that it takes was used.
    """

    pt: Floats
    phi: Floats
    out_of_range: int
    clamped: int

    @property
    def met(self) -> Met:
        """The MET alone."""
        return Met(self.pt, self.phi)


def vertices(record: CorrectionRecord) -> Literal["npvs", "npvsGood"]:
    """Return which column of `PV` the file counts: all vertices in Run 2, good ones in Run 3."""
    return "npvs" if "pt_mc" in record.keys else "npvsGood"


def branches(record: CorrectionRecord, *, is_data: bool) -> tuple[str, ...]:
    """Return the branches that are read, beside the MET."""
    by_run = is_data and "pt_mc" in record.keys
    return (f"PV_{vertices(record)}", *(("run",) if by_run else ()))


def corrected(
    record: CorrectionRecord,
    met: Any,
    npvs: Any,
    run: Any,
    is_data: bool,
    variation: str = "nominal",
) -> CorrectedMet:
    """Return the MET without its modulation in phi.

    Args:
        record: `met_xy` of the era, for the MET that is given (working point `pf` or `puppi`).
        met: has `pt` (GeV) and `phi`, `[events]`: type-1 MET, with the corrections of objects propagated.
        npvs: `[events]`, the column `vertices(record)` of `PV`.
        run: `[events]`; used in data only, None for simulation.
        is_data: which of the two parts of the file.
        variation: `nominal`; one of `VARIATIONS` or `PILEUP`, which are nominal where a file has none (Run 2: no
            uncertainty is given; data: no pile-up variation).

    Raises:
        UserError: the variation is not one of these.
    """
    known = ("nominal", *VARIATIONS, *PILEUP)
    if variation not in known:
        raise UserError(
            f"The correction '{record.name}' has no variation '{variation}'.{closest(variation, known)} It has: "
            f"{', '.join(known)}."
        )
    pt, phi = np.asarray(met.pt, np.float64), wrapped(met.phi)
    count = np.asarray(npvs, np.float64)
    most = record.limits["npvs"][1] if "npvs" in record.limits else np.inf
    inputs = {"met_pt": pt, "met_phi": phi, "npvs": np.minimum(count, most)}
    if "pt_mc" in record.keys:
        if is_data and run is None:
            raise ValueError("the MET correction of data needs the run of each event")
        inputs["run"] = np.asarray(run, np.float64) if is_data else np.zeros(len(pt))
        new_pt, new_phi = _by_keys(record, inputs, "data" if is_data else "mc")
    else:
        inputs["npvGood"] = inputs.pop("npvs")
        new_pt, new_phi = _by_choices(record, inputs, is_data, variation)
    changed = np.isfinite(new_pt) & np.isfinite(new_phi) & ~((new_pt == pt) & (new_phi == phi))
    return CorrectedMet(
        np.where(changed, new_pt, pt),
        np.where(changed, wrapped(new_phi), phi),
        int(np.count_nonzero(~changed)),
        int(np.count_nonzero(count > most)),
    )


def _by_keys(record: CorrectionRecord, inputs: dict[str, Floats], kind: str) -> tuple[Floats, Floats]:
    """Evaluate a file of Run 2: a key for each of pt and phi, data and simulation; NaN outside its range."""
    pt, phi = (
        np.asarray(evaluate_flat(record.path, record.keys[f"{column}_{kind}"], inputs, default=np.nan).values)
        for column in ("pt", "phi")
    )
    return pt, phi


def _by_choices(
    record: CorrectionRecord, inputs: dict[str, Floats], is_data: bool, variation: str
) -> tuple[Floats, Floats]:
    """Evaluate a file of Run 3: one key with text inputs."""
    suffix = VARIATIONS.get(variation, "")
    choices = {
        **record.fixed,
        "dtmc": "DATA" if is_data else "MC",
        "variation": "nom" if is_data else PILEUP.get(variation, "nom"),
    }
    pt, phi = (
        np.asarray(
            evaluate_flat(
                record.path, record.key, inputs, choices={**choices, "pt_phi": f"{column}{suffix}"}, default=np.nan
            ).values
        )
        for column in ("pt", "phi")
    )
    return pt, phi
