"""Jet energy resolution: simulated jets smeared to the resolution of data, by the hybrid method of the JetMET group.

With σ the relative resolution in simulation and s the ratio of the resolutions in data and simulation, the factor on
the four-momentum of a jet is::

    matched to a generator jet     c = 1 + (s - 1) (pt - pt_gen) / pt
    without                        c = 1 + N(0, 1) σ sqrt(max(s² - 1, 0))

A jet is matched if its generator jet is nearer than R/2 = 0.2 and |pt - pt_gen| < 3 σ pt. The factor is held where the
energy stays above 0.01 GeV. Source: https://twiki.cern.ch/twiki/bin/view/CMS/JetResolution (Smearing procedures), with
limit and cuts as in CMSSW, PhysicsTools/PatUtils/interface/SmearedJetProducerT.h.

The normal numbers are those of :mod:`.random_numbers`, from event and position of the jet in the file: the default. The
group's own table `jer_smear` (:func:`tabulated_factor`) draws them from pt, eta, rho and event number: the same for any
chunk as well, but other numbers once a correction changes pt in the last digit, and it has no limit of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .catalogue import CorrectionRecord
from .evaluation import Floats, evaluate_flat

STREAM = "jet energy resolution"
MAX_DELTA_R = 0.2
"""Half the radius of the AK4 jets."""
MAX_DEVIATION = 3.0
"""Of pt from that of the generator jet, in units of the resolution."""
MIN_ENERGY = 0.01
"""GeV."""


class Resolution(NamedTuple):
    """Relative resolution in simulation and ratio of data to simulation, `[jets]`, with the usual counts."""

    sigma: Floats
    scale_factor: Floats
    out_of_range: int = 0
    clamped: int = 0


def resolution(record: CorrectionRecord, variables: dict[str, Floats], *, direction: str = "nom") -> Resolution:
    """Return resolution and scale factor of jets with `JetPt` (GeV, corrected), `JetEta` and `Rho` (GeV), `[jets]`.

    `direction` of the scale factor: `nom`, `up` or `down`. What each of the two needs is what the file declares: the
    scale factor is a function of eta alone in Run 2, and of pt, too, in Run 3. NaN gives no smearing.
    """
    sigma = evaluate_flat(record.path, record.keys["resolution"], variables, choices=record.fixed, default=0.0)
    # By name: a file of several text inputs would need `fixed` for the others.
    choices = {**record.fixed, "systematic": direction}
    scale = evaluate_flat(record.path, record.keys["resolution_sf"], variables, choices=choices, default=1.0)
    return Resolution(
        np.asarray(sigma.values),
        np.asarray(scale.values),
        max(sigma.out_of_range, scale.out_of_range),
        max(sigma.clamped, scale.clamped),
    )


def matched(pt: Floats, gen_pt: Floats, sigma: Floats, delta_r: Floats | None = None) -> npt.NDArray[np.bool_]:
    """Return which jets count as matched, `[jets]`.

    `gen_pt` (GeV) is NaN, zero or negative without generator jet; `delta_r` its distance, if it was not cut on before.
    """
    with np.errstate(invalid="ignore"):
        near = (gen_pt > 0) & (np.abs(pt - gen_pt) < MAX_DEVIATION * sigma * pt)
        return near if delta_r is None else near & (delta_r < MAX_DELTA_R)


def hybrid_factor(
    pt: Floats, gen_pt: Floats, is_matched: npt.NDArray[np.bool_], values: Resolution, normal: Floats
) -> Floats:
    """Return the factor c of the module's text for each jet, `[jets]`, without the limit (:func:`held_positive`).

    `normal` are numbers of the standard normal distribution, used where there is no match.
    """
    spread = values.sigma * np.sqrt(np.maximum(values.scale_factor**2 - 1.0, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = 1.0 + (values.scale_factor - 1.0) * (pt - gen_pt) / pt
    return np.where(is_matched, scaled, 1.0 + normal * spread)


def tabulated_factor(
    smear: CorrectionRecord,
    variables: dict[str, Floats],
    gen_pt: Floats,
    is_matched: npt.NDArray[np.bool_],
    values: Resolution,
    event: npt.NDArray[Any],
) -> Floats:
    """Return the factor as the group's table `jer_smear` has it, `[jets]`; `event` is the event number of each jet."""
    inputs = {
        **variables,
        "GenPt": np.where(is_matched, gen_pt, -1.0),
        "JER": values.sigma,
        "JERSF": values.scale_factor,
    }
    # Float64 does not hold every event number, but 2^53 of them: more than a sample has.
    inputs["EventID"] = np.asarray(event, np.float64)
    # Its bins in GenPt only tell matched from unmatched: pt above the last of them is no reason to count.
    return np.asarray(evaluate_flat(smear.path, smear.key, inputs, default=1.0).values)


def held_positive(factor: Floats, pt: Floats, eta: Floats, mass: Floats) -> Floats:
    """Return the factors, raised where the energy of the jet (pt, mass in GeV) would fall below 0.01 GeV."""
    momentum = pt * np.cosh(eta)
    energy = np.sqrt(momentum**2 + mass**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(factor * energy < MIN_ENERGY, MIN_ENERGY / energy, factor)
