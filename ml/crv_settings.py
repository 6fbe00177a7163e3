"""Settings of the study of the cosmic-ray veto."""

from __future__ import annotations

from itertools import product
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: What describes a coincidence and can be a feature. Quantities of the track are left out on purpose: a veto that
#: looks at them would shape the momentum spectrum.
CANDIDATES = (
    "crv_x",
    "crv_y",
    "crv_z",
    "PEs",
    "dT",
    "nHits",
    "nLayers",
    "angle",
    "sector",
    "PEs_per_hit",
    "timeStart",
    "timeEnd",
    "crv_time",
)
#: The features of the reference study. The sector follows from the position and added nothing there.
FEATURES = ("crv_x", "crv_y", "crv_z", "PEs", "dT", "nHits", "nLayers", "angle")


class Booster(BaseModel):
    """Hyper-parameters of the boosted trees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(default=300, gt=0)
    max_depth: int = Field(default=3, gt=0, le=12)
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    reg_alpha: float = Field(default=0.0, ge=0)
    scale_pos_weight: float = Field(default=1.0, gt=0)


class WindowScan(BaseModel):
    """Windows in dT [ns], closed at both ends, that the trained veto is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline: tuple[float, float] = (0.0, 150.0)
    starts: tuple[float, ...] = (-10.0, -5.0, 0.0, 5.0, 10.0)
    ends: tuple[float, ...] = tuple(float(end) for end in range(110, 161, 5))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.baseline[0] >= self.baseline[1] or max(self.starts) >= min(self.ends):
            raise ValueError("every window must start before it ends")
        return self

    @property
    def windows(self) -> tuple[tuple[float, float], ...]:
        """All windows of the scan, narrowest first."""
        return tuple(sorted(product(self.starts, self.ends), key=lambda window: (window[1] - window[0], window)))


class Settings(BaseModel):
    """What a study does; with the same settings and input it gives the same bytes.

    Attributes:
        features: columns of the coincidence table, in the order in which the model takes them.
        folds: outer folds; each event is tested once, by a model that has not seen it.
        validation: share of the events outside the test fold on which the threshold (and the grid point) is chosen.
        target: the probability with which a cosmic event is to be vetoed.
        labels: what a coincidence is taken for in training. ``truth``: what the simulation says of each one;
            ``sample``: what its sample is; ``auto``: truth where the table of cosmics has it.
        confidence: of all intervals; 0.6827 is one standard deviation.
        threads: of the training. One, so that the bytes of the model depend on no machine: sums of parts differ in
            their last digits. On tables of up to a million rows more threads gain little.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...] = FEATURES
    folds: int = Field(default=5, ge=2, le=50)
    validation: float = Field(default=0.4, gt=0, lt=1)
    target: float = Field(default=0.999, gt=0, le=1)
    labels: Literal["auto", "truth", "sample"] = "auto"
    confidence: float = Field(default=0.6827, gt=0, lt=1)
    seed: int = Field(default=42, ge=0)
    threads: int = Field(default=1, gt=0)
    booster: Booster = Booster()
    grid: tuple[Booster, ...] = ()
    scan: WindowScan = WindowScan()

    @model_validator(mode="after")
    def _features(self) -> Self:
        unknown = [name for name in self.features if name not in CANDIDATES]
        if unknown or not self.features or len(set(self.features)) != len(self.features):
            raise ValueError(f"features must be distinct names out of {', '.join(CANDIDATES)}; got {self.features}")
        return self

    @property
    def candidates(self) -> tuple[Booster, ...]:
        """The hyper-parameters to choose from."""
        return self.grid or (self.booster,)


def small_grid(booster: Booster) -> tuple[Booster, ...]:
    """Return twelve settings around ``booster``, the simplest first."""
    return tuple(
        booster.model_copy(update={"max_depth": depth, "learning_rate": rate, "rounds": rounds})
        for depth, rate, rounds in product((3, 5), (0.1, 0.3), (100, 300, 1000))
    )
