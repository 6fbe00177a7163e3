"""What a toy Mu2e sample is: its specification, the numbers of its exposure and the rates that are injected."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

__all__ = [
    "ACCIDENTAL_RANGE",
    "DEADTIME_WINDOW",
    "EVENTS_PER_BLOCK",
    "EVENTS_PER_SUBRUN",
    "PHYSICAL_DT",
    "RUNS",
    "ToySpec",
    "block_generators",
]

Sample = Literal["cosmic", "ce"]
Helix = Literal["lh", "ch"]
Version = Literal["6.3.0", "6.6.0", "6.13.2"]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

EVENTS_PER_BLOCK = 4000
"""Events generated at once, from seeds of their own: memory is bounded, and events do not depend on the files."""
EVENTS_PER_SUBRUN = 1000
RUNS: dict[str, int] = {"cosmic": 1202, "ce": 1210}
SECONDS_PER_EVENT = 4.09
"""Livetime in s behind a cosmic event, as in the CRY sample of MDC2020aw (10.68e6 s, 2.61e6 events)."""
KEPT: dict[str, float] = {"cosmic": 1 / 15742, "ce": 0.3734}
"""Events in the file for each generated one, as in MDC2020aw."""
DEADTIME_WINDOW = (0.0, 150.0)
"""dT window in ns for which :attr:`ToySpec.deadtime` is quoted."""
ACCIDENTAL_RANGE = (200.0, 1800.0)
"""Times in ns of coincidences from the beam: they fill the window (-150, 150) of any track from 640 to 1650 ns."""
PHYSICAL_DT = (10.0, 145.0)
"""dT in ns of the first coincidence of a cosmic lies in here, hence in the windows (0, 150) and (-150, 150)."""
STREAMS = ("particles", "kinematics", "fits", "segments", "genealogy", "crv", "crv_mc", "pileup", "accidental", "truth")


class ToySpec(BaseModel, frozen=True, extra="forbid", strict=True):
    """What to generate. ``events`` counts the events in all files, those that a trigger kept.

    Args:
        sample: ``cosmic`` (cosmic-induced tracks) or ``ce`` (conversion electrons).
        events: in all files together; the first n events are the same for any number of events and files.
        seed: the same seed gives the same events, bit for bit.
        on_spill: times within the micro-bunch (0 to 1700 ns); otherwise within 1e5 ns, without beam.
        mix: overlay beam pile-up: accidental coincidences, and some particles from the beam.
        inefficiency: probability that a cosmic leaves no coincidence.
        deadtime: probability that an accidental coincidence lies in :data:`DEADTIME_WINDOW` (with ``mix``).
        enriched: fraction of the events that is forced to look like the signal (for statistics in tests).
        data: leave out everything that only simulation has.
        helix: ``lh`` writes ``trksegpars_lh``, ``ch`` the central helix ``trksegpars_ch``.
        version: of the EventNtuple; before 6.13 there are no sub-run tree and no totals, 6.3 has ``early``/``late``.
        format: ``root`` (RNTuple ``EventNtuple/ntuple``) or ``parquet``.
        files: number of files.
        compression: of ROOT files.
    """

    sample: Sample
    events: int = Field(ge=0)
    seed: int = Field(default=1, ge=0)
    on_spill: bool = True
    mix: bool = False
    inefficiency: Probability = 0.01
    deadtime: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.28
    enriched: Probability = 0.0
    data: bool = False
    helix: Helix = "lh"
    version: Version = "6.13.2"
    format: Literal["root", "parquet"] = "root"
    files: int = Field(default=1, ge=1)
    compression: Literal["zstd", "lz4", "zlib", "none"] = "zstd"

    @model_validator(mode="after")
    def _beam_is_on(self) -> ToySpec:
        if self.mix and not self.on_spill:
            raise ValueError("there is no beam off spill: take either 'mix: true' or 'on_spill: false'")
        if self.sample == "ce" and not self.on_spill:
            raise ValueError("conversion electrons come with the beam: 'on_spill: false' is for the sample 'cosmic'")
        return self

    @property
    def run(self) -> int:
        """Run number of all events."""
        return RUNS[self.sample]

    @property
    def accidental_rate(self) -> float:
        """Coincidences from the beam per ns; 0 without ``mix``."""
        return -math.log1p(-self.deadtime) / (DEADTIME_WINDOW[1] - DEADTIME_WINDOW[0]) if self.mix else 0.0

    @property
    def livetime(self) -> float | None:
        """Livetime in s that the events stand for; None for conversion electrons, which have none."""
        return self.events * SECONDS_PER_EVENT if self.sample == "cosmic" else None

    @property
    def generated_events(self) -> int:
        """Generated events behind those in the files."""
        return round(self.events / KEPT[self.sample])

    def expected_deadtime(self, low: float, high: float) -> float:
        """Probability of an accidental coincidence with ``low < dT < high`` (ns) for a track of 640 to 1650 ns."""
        if high - low <= 0:
            return 0.0
        return -math.expm1(-self.accidental_rate * (high - low))

    def expected_inefficiency(self, low: float, high: float) -> float:
        """Probability that a selected cosmic is not vetoed by a window that holds :data:`PHYSICAL_DT` (0 to 150 ns).

        An accidental coincidence in the window vetoes a missed cosmic too. With ``mix`` a few of the selected tracks
        are the beam's, below the wide momentum window, and vetoed only by chance.

        Raises:
            ValueError: the window is narrower, so that the answer depends on the distribution of dT.
        """
        if low > 0 or high < DEADTIME_WINDOW[1]:
            raise ValueError(f"the window ({low}, {high}) ns does not hold the physical dT, 0 to 150 ns")
        return self.inefficiency * (1 - self.expected_deadtime(low, high)) if self.sample == "cosmic" else 1.0


def block_generators(spec: ToySpec, block: int) -> dict[str, np.random.Generator]:
    """Return an independent generator for each part of the simulation of a block: one more part changes no other."""
    key = (spec.seed, list(RUNS).index(spec.sample), block)
    return {
        name: np.random.Generator(np.random.PCG64(np.random.SeedSequence((*key, number))))
        for number, name in enumerate(STREAMS)
    }
