"""What the cutsets of the Mu2e analysis ask, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..selections.cutsets import CutDeclaration, Cutset
from ..selections.mu2e_cuts import COMPARISONS, CUTS, MOMENTUM, ON_SPILL_ONLY, PRESELECT, VETO, VETO_CUT
from .mu2e_parameters import CosmicParameters, Mu2eParameters

OFF = "off"


def cut_sentences(parameters: Mu2eParameters, cutsets: Sequence[Cutset]) -> dict[str, str]:
    """Return cut → what it asks, once where all cutsets ask the same."""
    sentences: dict[str, str] = {}
    for cut in CUTS:
        asked: dict[str, list[str]] = {}
        for cutset in cutsets:
            text = _limits(cut, cutset, parameters) if cutset.active[cut.name] else OFF
            asked.setdefault(text, []).append(cutset.name)
        if set(asked) == {OFF}:
            continue
        if len(asked) == 1:
            limits = next(iter(asked))
        else:
            limits = "; ".join(f"{', '.join(names)}: {text or 'on'}" for text, names in asked.items())
        when = " (simulation only)" if cut.truth else " (beam on)" if cut.name in ON_SPILL_ONLY else ""
        sentences[cut.name] = f"{cut.description}{when}" + (f": {limits}" if limits else "")
    return sentences


def region_cuts(parameters: CosmicParameters, cutsets: Sequence[Cutset]) -> dict[str, dict[str, bool]]:
    """Return ``<cutset>/<stage>`` → cuts that are passed."""
    regions: dict[str, dict[str, bool]] = {}
    early = (PRESELECT, VETO) if parameters.legacy_veto_in_preselect else (PRESELECT,)
    for cutset in cutsets:
        active = [cut for cut in CUTS if cutset.active[cut.name]]
        select = [cut.name for cut in active if cut.group not in (MOMENTUM, VETO)]
        asked: Mapping[str, list[str]] = {
            "All": [],
            "Preselect": [cut.name for cut in active if cut.group in early],
            "Select": select,
            **({"Unvetoed": [*select, VETO_CUT]} if cutset.active[VETO_CUT] else {}),
        }
        regions |= {f"{cutset.name}/{stage}": dict.fromkeys(names, True) for stage, names in asked.items()}
    return regions


def _limits(cut: CutDeclaration, cutset: Cutset, parameters: Mu2eParameters) -> str:
    model = parameters.veto_model if isinstance(parameters, CosmicParameters) else None
    if cut.name == VETO_CUT and model is not None:
        return f"{model.path.name} scores below {model.threshold:g}"
    if cut.name == VETO_CUT:
        low, high = (cutset.thresholds[key] for key in cut.thresholds)
        filtered = ", coincidences at wrong times left out" if parameters.coincidence_time == "filter" else ""
        return f"{low:g} < dT < {high:g} ns{filtered}"
    parts = [f"{COMPARISONS[key][0]} {cutset.thresholds[key]:g}" for key in cut.thresholds if key in COMPARISONS]
    return " and ".join(parts)
