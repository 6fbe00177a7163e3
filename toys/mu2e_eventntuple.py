"""Toy Mu2e EventNtuple samples with known truth: cosmics and conversion electrons, with or without beam pile-up.

:func:`generate` writes the files of a :class:`ToySpec`, :func:`generate_arrays` gives the same events in memory, and
:func:`generate_truth` what nobody measures: who is in the event and which coincidences there are. The exposure and the
injected probabilities are properties of the specification. :func:`count_experiments` and :func:`truth_experiments`
repeat a measurement many times. The branches have the names and nested types of EventNtuple version 6.
"""

from __future__ import annotations

from .mu2e_events import event_truth, generate_arrays, generate_truth
from .mu2e_experiments import Counts, count_experiments, truth_experiments
from .mu2e_files import TREE, Exposure, described, exposure, generate
from .mu2e_spec import ToySpec

__all__ = [
    "TREE",
    "Counts",
    "Exposure",
    "ToySpec",
    "count_experiments",
    "described",
    "event_truth",
    "exposure",
    "generate",
    "generate_arrays",
    "generate_truth",
    "truth_experiments",
]
