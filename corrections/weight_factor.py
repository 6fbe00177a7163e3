"""What each weight of an event is made of: a nominal factor, and what the factor is under each systematic variation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class WeightFactor(NamedTuple):
    """One factor of the weight of each event.

    `nominal` is `[events]`, float64. `variations` maps the full name of a variation (`pileupUp`) to the factor
    under it, `[events]`: the whole factor, not its ratio to the nominal one, which zero weights would break. The
    counts are of inputs (events or objects) of the nominal factor outside the range of its file.
    """

    nominal: Floats
    variations: Mapping[str, Floats] = {}
    out_of_range: int = 0
    clamped: int = 0


def up_down(source: str, up: Any, down: Any) -> dict[str, Floats]:
    """Return `{<source>Up: up, <source>Down: down}` as float64 arrays, `[events]`."""
    return {f"{source}Up": np.asarray(up, np.float64), f"{source}Down": np.asarray(down, np.float64)}
