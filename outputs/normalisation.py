"""The one normalisation: expected yield = luminosity x cross section x Σ(event weights) / sumw.

Nothing else in mucoffea scales a yield. ``sumw`` is the sum of generator weights of the events that were generated
for what was processed, before any selection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

PB_PER_FB = 1000.0


class NormalisationError(Exception):
    """A yield cannot be normalised; the message says which number is missing."""


class FileSum(BaseModel):
    """What is known of one input file.

    Args:
        lfn: its name.
        entries: events in it.
        processed: those that were processed.
        planned: those that were to be processed.
        gen_event_count: Σ of its ``Runs`` tree.
        gen_event_sumw: Σ of its ``Runs`` tree.
        gen_variation_sums: variation → Σ(generator weight × factor) / ``gen_event_sumw``, of its ``Runs`` tree.
        luminosity_sections: run → ranges that it was made from.
    """

    model_config = ConfigDict(frozen=True)

    lfn: str
    entries: int
    processed: int
    planned: int = 0
    gen_event_count: int | None = None
    gen_event_sumw: float | None = None
    gen_variation_sums: Mapping[str, float] = {}
    luminosity_sections: Mapping[str, Sequence[Sequence[int]]] | None = None


class SumOfWeights(BaseModel):
    """``sumw`` and where it comes from; ``variations`` are the sums under variations of the generator's weights."""

    model_config = ConfigDict(frozen=True)

    value: float
    source: Literal["processed events", "Runs tree"]
    note: str = ""
    variations: Mapping[str, float] = {}


def sum_of_weights(
    files: Sequence[FileSum], processed_sumw: float, processed_variations: Mapping[str, float] | None = None
) -> SumOfWeights:
    """Choose ``sumw`` for one simulated dataset.

    A file that holds every generated event (``Runs.genEventCount`` equals its entries) is best normalised by the
    events that were processed, since that stays right when some are missing. A skim holds fewer: then only the
    ``Runs`` tree knows the sum, which belongs to the whole file. A variation of the generator's weights changes the
    sum, too: what it does to the rate is a matter of the cross section, so each variation is divided by its own sum.
    Where a skim does not keep that, the processed events give its ratio to the nominal one, which the skim may bias:
    the note says so.

    Args:
        files: the files of the dataset with at least one processed entry.
        processed_sumw: Σ genWeight over the processed events.
        processed_variations: variation → Σ(genWeight × factor) over the processed events.

    Raises:
        NormalisationError: a skimmed file was processed in part, or some files are skims without a ``Runs`` sum.
    """
    used = [file for file in files if file.processed]
    varied = dict(processed_variations or {})
    if not any(file.gen_event_count is not None for file in used):
        note = "no Runs tree in the input: taken as not skimmed" if used else ""
        return SumOfWeights(value=processed_sumw, source="processed events", note=note, variations=varied)
    if all(file.gen_event_count in (None, file.entries) for file in used):
        return SumOfWeights(value=processed_sumw, source="processed events", variations=varied)
    for file in used:
        if file.gen_event_sumw is None:
            raise NormalisationError(
                f"{file.lfn} has no Runs tree with genEventSumw, but other files of the dataset are skims"
            )
        if file.processed != file.entries:
            raise NormalisationError(
                f"{file.lfn} is a skim ({file.entries} of {file.gen_event_count} generated events) of which only "
                f"{file.processed} entries were processed; its sum of weights belongs to the whole file"
            )
    return _of_runs(used, processed_sumw, varied)


def _of_runs(files: Sequence[FileSum], processed_sumw: float, varied: Mapping[str, float]) -> SumOfWeights:
    """Return the sums that the ``Runs`` trees of skims have; ``varied`` and ``processed_sumw`` where they have none."""
    total = sum(file.gen_event_sumw or 0.0 for file in files)
    note = "the input is a skim"
    kept = [name for name in varied if all(name in file.gen_variation_sums for file in files)]
    found = {
        name: sum(file.gen_variation_sums[name] * (file.gen_event_sumw or 0.0) for file in files)
        if name in kept
        else total * processed / (processed_sumw or math.nan)
        for name, processed in varied.items()
    }
    if len(kept) < len(varied):
        missing = len(varied) - len(kept)
        note += f", whose Runs tree lacks the sums of {missing} variations: their ratio is that of the events in it"
    return SumOfWeights(value=total, source="Runs tree", note=note, variations=found)


def scale_factor(*, cross_section: float | None, luminosity: float | None, sumw: float) -> float:
    """Return the factor that turns Σ(event weights) of a simulated dataset into an expected yield.

    Args:
        cross_section: pb.
        luminosity: /fb.
        sumw: Σ(generator weights) of the events generated.

    Raises:
        NormalisationError: a number is unknown, or ``sumw`` (which must be finite) or the cross section is not
            positive.
    """
    if cross_section is None:
        raise NormalisationError("no cross section")
    if luminosity is None:
        raise NormalisationError("no luminosity")
    if cross_section <= 0:
        raise NormalisationError(f"a cross section of {cross_section} pb")
    if not 0 < sumw < math.inf:
        raise NormalisationError(f"sumw is {sumw}")
    return luminosity * PB_PER_FB * cross_section / sumw
