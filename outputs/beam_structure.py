"""When the Mu2e beam is on: the one source of on-spill fractions, live times and running plans."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ..errors import UserError, closest

DAY = 86_400.0
#: Live time of the first run, in seconds on spill.
RUN_1_LIVETIME = 3.46e6
Spill = Literal["on", "off"]
Array = npt.NDArray[np.float64]


class BeamMode(BaseModel):
    """A mode of the accelerator: within each supercycle, ``spills`` spills of ``spill_ms`` milliseconds each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    supercycle_ms: float
    spills: int
    spill_ms: float

    @property
    def on_spill(self) -> float:
        """Fraction of wall time in a spill, to the three decimals that the lengths of the spills allow."""
        return round(self.spills * self.spill_ms / self.supercycle_ms, 3)

    def live(self, spill: Spill) -> float:
        """Fraction of wall time that counts: in spills, or outside them."""
        return self.on_spill if spill == "on" else 1 - self.on_spill


#: 4 × 107.3 ms of 1333 ms is 0.322, 8 × 43.1 ms of 1400 ms is 0.246.
BEAM_MODES: dict[str, BeamMode] = {
    mode.name: mode
    for mode in (
        BeamMode(name="1BB", label="one batch", supercycle_ms=1333, spills=4, spill_ms=107.3),
        BeamMode(name="2BB", label="two batches", supercycle_ms=1400, spills=8, spill_ms=43.1),
    )
}


def beam_mode(name: str) -> BeamMode:
    """Return the mode called ``name``.

    Raises:
        UserError: there is none; the message lists them.
    """
    if name not in BEAM_MODES:
        raise UserError(
            f"There is no beam mode '{name}'.{closest(name, BEAM_MODES)} There are: {', '.join(BEAM_MODES)}."
        )
    return BEAM_MODES[name]


class Segment(BaseModel):
    """A stretch of a running plan: ``fraction`` of its wall time counts as live; it lasts ``days``, or without end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    fraction: float = Field(gt=0, le=1)
    days: float | None = Field(default=None, gt=0)


class RunningPlan(BaseModel):
    """Stretches one after the other; the last goes on for as long as one asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: tuple[Segment, ...] = Field(min_length=1)

    @classmethod
    def constant(cls, fraction: float, label: str = "constant") -> RunningPlan:
        """Return a plan in which the same ``fraction`` of wall time is live all along."""
        if not 0 < fraction <= 1:
            raise UserError(f"A live fraction lies above 0 and up to 1, such as 0.322; got {fraction}.")
        return cls(segments=(Segment(label=label, fraction=fraction),))

    @classmethod
    def parse(cls, text: str, spill: Spill) -> RunningPlan:
        """Read ``1BB`` or ``1BB:100,2BB:300,1BB``: beam modes with their wall days; the last may have none.

        Raises:
            UserError: an unknown mode, or days that are no positive number or missing before the last.
        """
        words = [word.strip() for word in text.split(",")]
        segments = []
        for place, word in enumerate(words):
            name, _, days = word.partition(":")
            mode = beam_mode(name)
            if not days and place < len(words) - 1:
                raise UserError(
                    f"The running plan '{text}' does not say how many days '{word}' lasts; write {word}:100."
                )
            label = f"{name} {spill}-spill"
            segments.append(Segment(label=label, fraction=mode.live(spill), days=_days(text, days) if days else None))
        return cls(segments=tuple(segments))

    def live_seconds(self, wall_days: npt.ArrayLike) -> Array:
        """Return live seconds after ``wall_days`` of any shape; the last segment goes on beyond its days."""
        wall = np.asarray(wall_days, dtype=np.float64)
        live = np.zeros_like(wall)
        begun = 0.0
        for place, segment in enumerate(self.segments):
            last = place == len(self.segments) - 1
            length = np.inf if last or segment.days is None else segment.days
            live = live + segment.fraction * DAY * np.clip(wall - begun, 0.0, length)
            begun += length
        return live

    @property
    def days(self) -> float | None:
        """Wall days of the whole plan; None is open."""
        lengths = [segment.days for segment in self.segments]
        return None if None in lengths else sum(length or 0.0 for length in lengths)

    @property
    def description(self) -> str:
        """The plan in words."""
        return ", then ".join(
            f"{one.label} (live {one.fraction:.3f})" + (f" for {one.days:g} days" if one.days else "")
            for one in self.segments
        )


def _days(plan: str, text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not (np.isfinite(days) and days > 0):
        raise UserError(f"'{text}' in the running plan '{plan}' is no positive number of days.")
    return days
