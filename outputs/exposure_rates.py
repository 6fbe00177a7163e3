"""Efficiencies and rates of the cosmic background, from counts of events and the exposure they were taken in.

All in plain functions of plain numbers: counts in a momentum window at two stages (``Select``: like a signal, before
the veto; ``Unvetoed``: what the veto misses), the live time L in seconds and the number of generated events G.

Two normalisations, which must not be mixed up:

``unscaled``
    Rate = N(window)/L. The live time is that of the sample, whatever the window.
``scaled``
    The live time is multiplied by N_sel(window)/N_sel(Signal), so the selection rate is that of the signal window in
    every window by construction, and the unvetoed rate is the *expected background*: the inefficiency measured in a
    window with more events, times the selection rate of the signal window. The uncertainty of N_sel(Signal) is part of
    both. (With a legacy convention it is not, as in earlier tables.)

What cannot be known is None and is printed as "not available": rates without a live time, selection efficiency without
the number of generated events, everything about the veto where its cut is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..errors import UserError, closest
from .beam_structure import BEAM_MODES, DAY, RUN_1_LIVETIME
from .exposure import SampleExposure
from .intervals import Convention, Estimate

#: Momentum windows, from the widest; rates are quoted for the last.
WINDOWS = ("Inclusive", "Wide", "Extended", "Signal")
SIGNAL = WINDOWS[-1]
SELECTED, UNVETOED = "Select", "Unvetoed"
#: Stage → window → events.
Counts = Mapping[str, Mapping[str, int]]
Role = Literal["cosmic", "signal"]


class Rates(BaseModel):
    """Rates of a window in one normalisation: per wall day by beam mode, and per Run 1.

    Args:
        livetime_days: live days that the counts stand for.
        wall_days: beam mode → days on the wall that hold so much live time.
        run1: how many Run 1 that is.
        selected, unvetoed: beam mode → events per wall day; ``unvetoed`` is None with the veto off.
    """

    model_config = ConfigDict(frozen=True)

    livetime_days: float
    wall_days: Mapping[str, float]
    run1: float
    selected: Mapping[str, Estimate]
    unvetoed: Mapping[str, Estimate] | None
    selected_run1: Estimate
    unvetoed_run1: Estimate | None


class Window(BaseModel):
    """The results in a momentum window. None: not available.

    ``accepted`` and ``rejected`` are fractions of the events before any cut on the times of coincidences, so that
    samples with different such cuts can be compared: what those cuts leave, and what they leave and the veto then finds
    (cosmics: acceptance × veto efficiency) or what cuts and veto together lose (signal). None where there is no such
    cut.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    selected: int
    unvetoed: int | None
    selection_efficiency: Estimate | None
    veto_efficiency: Estimate | None
    inefficiency: Estimate | None
    accepted: Estimate | None
    rejected: Estimate | None
    unscaled: Rates | None
    scaled: Rates | None


class SampleRates(BaseModel):
    """The results of a sample with a cutset, by window, and in ``remarks`` why something is not available.

    What is vetoed of a ``signal`` sample is its deadtime, not the efficiency of the veto.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    cutset: str
    role: Role
    exposure: SampleExposure
    convention: Convention
    windows: tuple[Window, ...]
    remarks: tuple[str, ...]


def sample_rates(
    dataset: str,
    cutset: str,
    stages: Counts,
    exposure: SampleExposure,
    convention: Convention | None = None,
    role: Role = "cosmic",
    before: Counts | None = None,
) -> SampleRates:
    """Return efficiencies and rates in every window that ``stages`` has.

    Args:
        dataset: name of the sample.
        cutset: name of the cutset.
        stages: stage → window → events; without the stage ``Unvetoed`` the veto was off.
        exposure: of the sample.
        convention: of the intervals; the default is 68.27 % everywhere.
        role: what the sample is: cosmics that the veto is to find, or signal that it should leave alone.
        before: stage → window → events, without the cuts on the times of coincidences.

    Raises:
        UserError: there is no stage ``Select``, or it has no window that is known.
    """
    convention = convention or Convention()
    if not any(name in WINDOWS for name in stages.get(SELECTED, {})):
        raise UserError(f"The counts of '{dataset}', cutset '{cutset}', have no stage '{SELECTED}' with windows.")
    windows = tuple(
        _window(name, stages, (before or {}).get(SELECTED, {}).get(name), exposure, convention, role)
        for name in WINDOWS
        if name in stages[SELECTED]
    )
    return SampleRates(
        dataset=dataset,
        cutset=cutset,
        role=role,
        exposure=exposure,
        convention=convention,
        windows=windows,
        remarks=tuple(_remarks(stages, exposure)),
    )


def selection_efficiency(selected: int, generated: float | None, convention: Convention) -> Estimate | None:
    """Return N_sel/G with Wilson limits; None without G."""
    return convention.fraction(selected, generated) if generated else None


def inefficiency(unvetoed: int | None, selected: int, convention: Convention) -> Estimate | None:
    """Return N_unv/N_sel with Wilson limits; None with the veto off or nothing selected."""
    return None if unvetoed is None else convention.fraction(unvetoed, selected)


def wall_days(livetime: float, on_spill: bool) -> dict[str, float]:
    """Return beam mode → days on the wall in which ``livetime`` seconds are live, in or outside spills."""
    return {name: livetime / mode.live("on" if on_spill else "off") / DAY for name, mode in BEAM_MODES.items()}


def unscaled_rates(
    selected: int, unvetoed: int | None, exposure: SampleExposure, convention: Convention
) -> Rates | None:
    """Return the rates N/L with Poisson limits; None without live time."""
    if not exposure.livetime:
        return None
    counts = convention.count(selected), None if unvetoed is None else convention.count(unvetoed)
    return _rates(*counts, exposure.livetime, exposure.on_spill)


def scaled_rates(
    selected: int, unvetoed: int | None, signal: int | None, exposure: SampleExposure, convention: Convention
) -> Rates | None:
    """Return the rates with the live time scaled by N_sel/N_sel(Signal); None without live time or signal events.

    The selection rate is N_sel(Signal)/L with the limits of that count, the unvetoed rate (N_unv/N_sel)·N_sel(Signal)/L
    with the limits of both factors; in the signal window itself that is the limits of N_unv. With a legacy convention
    the limits are those of N_sel and N_unv in the window, and the uncertainty of N_sel(Signal) is left out.
    """
    if not exposure.livetime or not signal or not selected:
        return None
    stretch = selected / signal
    if convention.legacy or selected == signal:
        chosen = convention.count(selected)
        missed = None if unvetoed is None else convention.count(unvetoed)
    else:
        chosen = convention.count(signal).scaled(stretch)
        fraction = inefficiency(unvetoed, selected, convention)
        missed = None if fraction is None else fraction.times(chosen)
    return _rates(chosen, missed, exposure.livetime * stretch, exposure.on_spill)


def time_losses(
    before: int | None, selected: int, unvetoed: int | None, convention: Convention, role: Role
) -> tuple[Estimate | None, Estimate | None]:
    """Return the fractions ``accepted`` and ``rejected`` of :class:`Window`; None where no event was lost."""
    if before is None or before == selected:
        return None, None
    accepted = convention.fraction(selected, before)
    if unvetoed is None:
        return accepted, None
    return accepted, convention.fraction((before if role == "signal" else selected) - unvetoed, before)


def expected_background(sample: SampleRates, live_seconds: float) -> dict[str, Estimate | None]:
    """Return window → events that the veto misses in the signal window during ``live_seconds``.

    That is the inefficiency measured in the window, times the selection rate of the signal window, with the
    uncertainties of both; None where either is not available.
    """
    found: dict[str, Estimate | None] = {}
    for window in sample.windows:
        per_run = None if window.scaled is None else window.scaled.unvetoed_run1
        found[window.name] = None if per_run is None else per_run.scaled(live_seconds / RUN_1_LIVETIME)
    return found


def _window(
    name: str, stages: Counts, before: int | None, exposure: SampleExposure, convention: Convention, role: Role
) -> Window:
    selected = stages[SELECTED][name]
    unvetoed = stages[UNVETOED][name] if UNVETOED in stages else None
    missed = inefficiency(unvetoed, selected, convention)
    accepted, rejected = time_losses(before, selected, unvetoed, convention, role)
    return Window(
        name=name,
        selected=selected,
        unvetoed=unvetoed,
        selection_efficiency=selection_efficiency(selected, exposure.generated, convention),
        veto_efficiency=None if missed is None else missed.complement(),
        inefficiency=missed,
        accepted=accepted,
        rejected=rejected,
        unscaled=unscaled_rates(selected, unvetoed, exposure, convention),
        scaled=scaled_rates(selected, unvetoed, stages[SELECTED].get(SIGNAL), exposure, convention),
    )


def _rates(selected: Estimate, unvetoed: Estimate | None, livetime: float, on_spill: bool) -> Rates:
    days, run1 = wall_days(livetime, on_spill), livetime / RUN_1_LIVETIME
    return Rates(
        livetime_days=livetime / DAY,
        wall_days=days,
        run1=run1,
        selected={mode: selected.scaled(1 / length) for mode, length in days.items()},
        unvetoed=None if unvetoed is None else {mode: unvetoed.scaled(1 / length) for mode, length in days.items()},
        selected_run1=selected.scaled(1 / run1),
        unvetoed_run1=None if unvetoed is None else unvetoed.scaled(1 / run1),
    )


def _remarks(stages: Counts, exposure: SampleExposure) -> list[str]:
    remarks = []
    if UNVETOED not in stages:
        remarks.append("the veto cut is off: veto efficiency and unvetoed rates are not available")
    if not exposure.livetime:
        remarks.append(f"the live time is not known ({exposure.livetime_source}): rates are not available")
    if not exposure.generated:
        remarks.append(
            f"the number of generated events is not known ({exposure.generated_source}): the selection efficiency is "
            f"not available"
        )
    if SIGNAL not in stages[SELECTED]:
        remarks.append("the signal window is blinded: scaled rates are not available")
    elif exposure.livetime and not stages[SELECTED][SIGNAL]:
        remarks.append("no event is selected in the signal window: scaled rates are not available")
    if exposure.fraction < 1:
        remarks.append(f"live time and generated events are those of the {100 * exposure.fraction:.4g} % processed")
    return remarks


def read_counts(counters: Mapping[str, Any], cutset: str | None, where: str) -> tuple[str, Mapping[str, Any]]:
    """Return name and counts of ``cutset`` (None: the first) in the ``counters`` of a sample.

    Raises:
        UserError: these are no counters of the Mu2e analysis, or it has no such cutset.
    """
    by_cutset = counters.get("mu2e")
    if not by_cutset:
        raise UserError(f"{where} holds no counts of a Mu2e analysis. Make it with --processor mu2e_cosmic.")
    name = cutset if cutset is not None else next(iter(by_cutset))
    if name not in by_cutset:
        raise UserError(f"{where} has no cutset '{name}'.{closest(name, by_cutset)} It has: {', '.join(by_cutset)}.")
    return name, by_cutset[name]
