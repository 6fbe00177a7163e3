"""Many repetitions of a toy Mu2e measurement, to see how often an interval covers the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_events import blocks
from .mu2e_spec import EVENTS_PER_BLOCK, RUNS, ToySpec

Array = npt.NDArray[Any]
# Keeps the counts apart from the blocks of events, which are keyed by their number.
_COUNTS = 2**31


@dataclass(frozen=True)
class Counts:
    """What is counted in each experiment, [n].

    Args:
        generated: events of each experiment.
        selected: that pass all cuts but the veto.
        unvetoed: of these, without a coincidence in the window.
        true_efficiency: probability to be selected.
        true_unvetoed: probability of a selected event not to be vetoed: the inefficiency of the veto for cosmics, one
            minus the deadtime for conversion electrons.
    """

    generated: int
    selected: Array
    unvetoed: Array
    true_efficiency: float
    true_unvetoed: float


def count_experiments(
    spec: ToySpec, n: int, *, efficiency: float, low: float = -150.0, high: float = 150.0, seed: int = 1
) -> Counts:
    """Draw the counts of ``n`` experiments of the size of ``spec``, without any events.

    Args:
        efficiency: probability of a generated event to be selected, the fraction that the trigger keeps included.
        low, high: veto window on dT in ns.
        seed: of the counts; that of ``spec`` is for events.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, list(RUNS).index(spec.sample), _COUNTS)))
    selected = rng.binomial(spec.generated_events, efficiency, n)
    kept = 1 - spec.expected_deadtime(low, high)
    if spec.sample == "cosmic":
        kept = spec.expected_inefficiency(low, high)
    return Counts(spec.generated_events, selected, rng.binomial(selected, kept), efficiency, kept)


def truth_experiments(spec: ToySpec, n: int, events: int) -> Iterator[ak.Array]:
    """Yield the truth of ``n`` experiments of ``events`` events each, cut one after the other from a long sample.

    The fields are those of :func:`.mu2e_events.event_truth`; ``spec.events`` does not matter.
    """
    held = None
    for number in range(n):
        start, stop = number * events, (number + 1) * events
        block = (start // EVENTS_PER_BLOCK, max(stop - 1, start) // EVENTS_PER_BLOCK)
        if held is None or block != held[0]:
            first, last = block[0] * EVENTS_PER_BLOCK, (block[1] + 1) * EVENTS_PER_BLOCK
            held = block, ak.concatenate([truth for _, truth in blocks(spec, first, last, tracks=False)])
        offset = block[0] * EVENTS_PER_BLOCK
        yield held[1][start - offset : stop - offset]
