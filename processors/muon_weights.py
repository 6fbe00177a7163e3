"""The weights of simulated muon events: what an analysis multiplies, shared by all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from coffea.analysis_tools import Weights

from ..corrections import muon_momentum, muon_scale_factors, pileup
from ..corrections.catalogue import CorrectionRecord
from ..corrections.evaluation import ScaleFactor
from ..corrections.muon_momentum import ScaledPt
from ..corrections.muon_scale_factors import event_weight, muon_scale_factor
from ..corrections.pileup import pileup_weight
from .requirements import Requirement

#: Corrections that weigh each selected muon.
PER_MUON = ("muon_id", "muon_iso")

#: What each correction does, in words; the first weighs simulation in every variation.
GENERATOR = "generator weight"
EFFECTS = {
    GENERATOR: "weighs simulated events as they were generated (genWeight)",
    "pileup": "weighs simulated events by their true number of interactions",
    "muon_id": "weighs simulated events by the identification scale factor of each selected muon",
    "muon_iso": "weighs simulated events by the isolation scale factor of each selected muon",
    "muon_trigger": "weighs simulated events by the trigger scale factor of the leading muon",
    "muon_scale": "changes the momentum of muons, in data and simulation, before any cut",
}

#: What a correction met outside its range: kind → correction → number of inputs.
Counters = dict[str, Counter[str]]


def tally(counters: Counters, name: str, values: ScaleFactor | ScaledPt) -> None:
    """Count the inputs of correction ``name`` that were left alone (``out_of_range``) or ``clamped`` by its file."""
    for kind in ("out_of_range", "clamped"):
        counters.setdefault(kind, Counter())[name] += getattr(values, kind)


def weight_requirements(records: Collection[str], *, trigger: bool) -> tuple[Requirement, ...]:
    """Return what :func:`event_weights` reads for the corrections named in ``records``.

    ``trigger`` says whether the muon that fired the trigger is given to it.
    """
    found = []
    if "pileup" in records:
        found.append(Requirement(component="pile-up weight", branches=pileup.BRANCHES, advice=_leave_out("pileup")))
    factors = (*PER_MUON, *(["muon_trigger"] if trigger else []))
    found += [
        Requirement(component=f"scale factor {name}", branches=muon_scale_factors.BRANCHES, advice=_leave_out(name))
        for name in factors
        if name in records
    ]
    return tuple(found)


def scale_requirement() -> Requirement:
    """Return what the momentum scale of muons reads."""
    return Requirement(
        component="muon momentum scale", branches=muon_momentum.BRANCHES, advice=_leave_out("muon_scale")
    )


def _leave_out(name: str) -> str:
    return f"To do without it, leave '{name}' out of the parameter 'corrections'."


def event_weights(
    generator: np.ndarray,
    records: Mapping[str, CorrectionRecord],
    counters: Counters,
    *,
    n_true_interactions: Callable[[], Any],
    muon_pt: Any,
    muon_eta: Any,
    trigger_pt: Any = None,
    trigger_eta: Any = None,
) -> Weights:
    """Return coffea's ``Weights`` of simulated events: generator x pile-up x muon scale factors x trigger.

    Args:
        generator: ``[events]`` generator weight.
        records: the corrections to apply; one that is not in it is left out.
        counters: see :func:`tally`; added to.
        n_true_interactions: gives ``[events]`` ``Pileup.nTrueInt``; called only if ``pileup`` is applied.
        muon_pt: ``[events, muons]`` of the selected muons, GeV.
        muon_eta: ``[events, muons]``.
        trigger_pt: ``[events]`` of the muon that fired the trigger, GeV.
        trigger_eta: ``[events]``.
    """
    weights = Weights(len(generator), storeIndividual=True)
    weights.add("generator", generator)
    if "pileup" in records:
        factor = pileup_weight(records["pileup"], n_true_interactions())
        tally(counters, "pileup", factor)
        weights.add("pileup", np.asarray(factor.values))
    for name in PER_MUON:
        if name in records:
            factor = muon_scale_factor(records[name], muon_pt, muon_eta)
            tally(counters, name, factor)
            weights.add(name, event_weight(factor.values))
    if "muon_trigger" in records and trigger_pt is not None:
        factor = muon_scale_factor(records["muon_trigger"], trigger_pt, trigger_eta)
        tally(counters, "muon_trigger", factor)
        weights.add("muon_trigger", np.asarray(factor.values))
    return weights
