"""What every CMS analysis asks of an event before it looks at objects: certified, clean, triggered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..corrections import luminosity_mask
from ..corrections.luminosity_mask import certified
from ..selections import filters, triggers
from ..selections.filters import passes
from ..selections.triggers import fired
from .base import EraInputs, Kind, event_requirements, is_data
from .cms_weights import Counters
from .requirements import Requirement

#: Filters that some processings of an era do not have: NanoAOD before v9 lacks this one.
OPTIONAL_FILTERS = ("Flag_BadPFMuonDzFilter",)


def cut_requirements(
    kind: Kind, era: EraInputs, *, paths: Sequence[str], met_filters: bool, named: bool
) -> tuple[Requirement, ...]:
    """Return what :func:`event_cuts` reads, with the identity and the generator weight of an event.

    Args:
        kind: of the dataset.
        era: of the dataset.
        paths: trigger paths of which one must have fired.
        met_filters: whether the event filters are applied.
        named: whether ``paths`` were chosen for these data (by the user or the era), so that a missing one is news.
    """
    found = list(event_requirements(kind))
    if kind == "data" and era.luminosity_mask is not None:
        found.append(Requirement(component="luminosity mask", branches=luminosity_mask.BRANCHES))
    if met_filters and era.met_filters:
        optional = tuple(name for name in era.met_filters if name in OPTIONAL_FILTERS)
        firm = tuple(name for name in era.met_filters if name not in OPTIONAL_FILTERS)
        advice = "Leave the event filters out with --set met_filters=false, or name the era of the file."
        found.append(Requirement(component="event filters", branches=filters.branches(firm), advice=advice))
        found.append(Requirement(component="event filters", branches=filters.branches(optional), need="none"))
    if paths:
        found.append(
            Requirement(
                component="trigger",
                branches=triggers.branches(paths),
                need="any" if named else "first known",
                advice="Name the paths of this file with --set 'triggers=[HLT_…]', or none: --set 'triggers=[]'.",
            )
        )
    return tuple(found)


def described(era: EraInputs, *, triggers: Sequence[str], met_filters: bool) -> dict[str, str]:
    """Return what the cuts of :func:`event_cuts` require, in words."""
    mask, filters = era.luminosity_mask, era.met_filters if met_filters else ()
    return {
        "certified": f"data: run and luminosity block are in {mask.name}" if mask else "off (no luminosity mask)",
        "met_filters": f"all of {', '.join(filters)}" if filters else "off (no event filters)",
        "trigger": f"at least one fired: {', '.join(triggers)}" if triggers else "off (no trigger asked for)",
    }


def event_cuts(
    events: Any, era: EraInputs, counters: Counters, *, paths: Sequence[str], met_filters: bool
) -> dict[str, np.ndarray]:
    """Return the masks ``certified``, ``met_filters`` and ``trigger``, each ``[events]``.

    What the era does not give, or an empty list of ``paths``, lets every event pass. Events of a file without
    an optional filter are counted in ``counters``.

    Raises:
        UserError: the file has none of the triggers, or lacks a filter that is not optional.
    """
    cuts = {name: np.ones(len(events), dtype=bool) for name in ("certified", "met_filters", "trigger")}
    if is_data(events) and era.luminosity_mask is not None:
        cuts["certified"] = certified(era.luminosity_mask, events.run, events.luminosityBlock)
    if met_filters and era.met_filters:
        cuts["met_filters"] = passes(events.Flag, era.met_filters, len(events), optional=OPTIONAL_FILTERS)
        for name in OPTIONAL_FILTERS:
            if name in era.met_filters and name.removeprefix("Flag_") not in events.Flag.fields:
                counters.setdefault("events_without_branch", Counter())[name] += len(events)
    if paths:
        cuts["trigger"] = fired(events.HLT, paths, len(events))
    return cuts
