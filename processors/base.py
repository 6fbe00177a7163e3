"""The common shape of an analysis: parameters, what an era gives it, and the additive result of a chunk."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from coffea.processor import ProcessorABC
from pydantic import BaseModel, ConfigDict

from ..corrections.catalogue import CorrectionRecord
from ..corrections.systematics import Systematic
from ..histograms.specification import Histogram
from ..luminosity_sections import packed, unpacked
from .requirements import Requirement

#: Name of a sample without era: no correction is known for it.
NO_ERA = ""

Kind = Literal["data", "mc"]


class EraInputs(BaseModel):
    """What an era gives to an analysis: lists and files, no open objects, so that it travels to workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    era: str = NO_ERA
    #: Run of the LHC; files of an unknown era are taken as of Run 2.
    run: Literal[2, 3] = 2
    #: TeV.
    com_energy: float = 13.0
    triggers: Mapping[str, tuple[str, ...]] = {}
    met_filters: tuple[str, ...] = ()
    luminosity_mask: Path | None = None
    corrections: Mapping[str, CorrectionRecord] = {}


class Parameters(BaseModel):
    """Base of the parameters of an analysis: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipe(BaseModel):
    """What an analysis requires and applies, in words: what a reader of its result asks.

    Args:
        cuts: name → what an event must have, in order.
        regions: region → cut → True if it is passed, False if it is failed; a cut that is not named is free.
        corrections: name → what it does; also those that no era has.
        variations: variation → names of the corrections that are applied in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cuts: Mapping[str, str] = {}
    regions: Mapping[str, Mapping[str, bool]] = {}
    corrections: Mapping[str, str] = {}
    variations: Mapping[str, tuple[str, ...]] = {}


class Analysis(ProcessorABC):
    """An analysis: ``process`` turns a chunk of events into an additive result, and keeps no state.

    Args:
        parameters: of the class ``parameters_model``; its defaults without.
        eras: era name → inputs, for every era among the datasets.
    """

    parameters_model: ClassVar[type[Parameters]] = Parameters
    #: Schema of the events that it reads; None reads any.
    schema: ClassVar[str | None] = None
    #: What ``process`` fills, and in which regions: the memory of a run is estimated from it.
    histograms: tuple[Histogram, ...] = ()
    #: Of an instance where they follow from its parameters.
    regions: tuple[str, ...] = ()

    def __init__(self, parameters: Parameters | None = None, eras: Mapping[str, EraInputs] | None = None) -> None:
        self.parameters = parameters if parameters is not None else self.parameters_model()
        self.eras = dict(eras or {})

    @classmethod
    @abstractmethod
    def corrections(cls, parameters: Any) -> Mapping[str, str | None]:
        """Return the corrections that the analysis applies with ``parameters``: name → working point, or None."""

    def requirements(self, kind: Kind, era: EraInputs) -> tuple[Requirement, ...]:  # noqa: ARG002 (see the analyses)
        """Return the branches that ``process`` reads from data or simulation of ``era``, component by component.

        An analysis that declares none is not checked before it runs.
        """
        return ()

    def variations(self, era: EraInputs) -> tuple[str, ...]:  # noqa: ARG002 (see the analyses)
        """Return the variations that the histograms have in ``era``."""
        return ("nominal",)

    def systematics(self, era: EraInputs) -> tuple[Systematic, ...]:  # noqa: ARG002 (see the analyses)
        """Return the sources of systematic uncertainty that are varied in simulation of ``era``."""
        return ()

    def era_inputs(self, events: Any) -> EraInputs:
        """Return what the era of ``events`` gives; empty without an era."""
        return self.eras.get(events.metadata.get("era") or NO_ERA, EraInputs())

    def recipe(self) -> Recipe:
        """Return what the analysis does, in words; an analysis that says nothing is explained by numbers alone."""
        return Recipe()

    def in_words(self, say: Callable[[EraInputs], Mapping[str, str]]) -> dict[str, str]:
        """Return cut → sentence from what ``say`` returns for each era; once where all eras have the same."""
        spoken = {name: say(era) for name, era in (self.eras or {NO_ERA: EraInputs()}).items()}
        sentences: dict[str, str] = {}
        for cut in next(iter(spoken.values())):
            eras: dict[str, list[str]] = {}
            for name, texts in spoken.items():
                eras.setdefault(texts[cut], []).append(name)
            parts = [f"{', '.join(names)}: {text}" for text, names in eras.items()]
            sentences[cut] = "; ".join(parts) if len(parts) > 1 else next(iter(eras))
        return sentences

    def applied(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of the corrections ``names`` that any era has."""
        return tuple(name for name in names if any(name in era.corrections for era in self.eras.values()))

    def postprocess(self, accumulator: Any) -> None:
        """Do nothing: normalisation and plots belong to the run, not to the analysis."""


def event_requirements(kind: Kind) -> tuple[Requirement, ...]:
    """Return what every analysis of NanoAOD needs of an event."""
    identity = Requirement(
        component="event identity",
        branches=("run", "luminosityBlock", "event"),
        advice="Without run, luminosity block and event number an event has no identity. Make the file anew with them.",
    )
    weight = Requirement(
        component="generator weight",
        branches=("genWeight",),
        advice="Simulation has one; data are declared with 'kind: data'.",
    )
    return (identity,) if kind == "data" else (identity, weight)


def is_data(events: Any) -> bool:
    """Whether the chunk is data, as its dataset says."""
    return events.metadata["kind"] == "data"


def generator_weight(events: Any) -> np.ndarray:
    """Return ``[events]`` the generator weight; 1 for data."""
    if is_data(events):
        return np.ones(len(events))
    return np.asarray(events.genWeight, dtype=np.float64)


def result(events: Any, entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the result of a chunk, ``{dataset: entries}``; every entry adds over chunks.

    That of data has ``luminosity_sections``, run → section → events, too: which data were processed, certified or not.
    """
    accounts: dict[str, Any] = {"events": len(events)}
    if is_data(events) and {"run", "luminosityBlock"} <= set(events.fields):
        accounts["luminosity_sections"] = _sections(events.run, events.luminosityBlock)
    return {events.metadata["dataset"]: {**accounts, **entries}}


def _sections(run: Any, luminosity_block: Any) -> dict[str, dict[str, int]]:
    found, counts = np.unique(packed(run, luminosity_block), return_counts=True)
    sections: dict[str, dict[str, int]] = {}
    for run_number, section, count in zip(*unpacked(found), counts, strict=True):
        sections.setdefault(str(run_number), {})[str(section)] = int(count)
    return sections


def yield_row(weight: np.ndarray) -> dict[str, int | float]:
    """Return the row of a cut flow for events that carry ``weight`` [events]: ``n``, ``sumw``, ``sumw2``."""
    return {"n": len(weight), "sumw": float(weight.sum()), "sumw2": float((weight * weight).sum())}
