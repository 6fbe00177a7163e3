"""What the analyses of CMS NanoAOD share: parameters that all of them have, and which systematics they vary."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from ..corrections import systematics
from ..corrections.catalogue import in_the_events
from ..corrections.systematics import NOMINAL, Systematic
from . import base
from .cms_factors import EFFECTS, GENERATOR
from .cms_objects import UNCORRECTED

#: Corrections from branches of the file itself: there is nothing in the catalogue to look for.
GENERATOR_WEIGHTS = ("parton_shower", "qcd_scale", "pdf")
FILE_FREE = (*GENERATOR_WEIGHTS, "top_pt", "prefiring", "met")


def _names(value: Any) -> Any:
    """Take ``all`` and ``[all]``, as one writes either."""
    return (value,) if isinstance(value, str) else value


class CmsParameters(base.Parameters):
    """Parameters of every CMS analysis."""

    #: Paths of which one must have fired; None takes those of the era, an empty list asks for none.
    triggers: tuple[str, ...] | None = None
    met_filters: bool = True
    #: Corrections to apply where the era has them.
    corrections: tuple[str, ...] = ()
    #: ``none``, ``weights``, ``all``, or names of sources (corrections/systematics.yaml).
    systematics: Annotated[tuple[str, ...], BeforeValidator(_names)] = (systematics.NONE,)


class Varied(NamedTuple):
    """What is varied in a chunk.

    ``shapes`` are the passes over its objects, in order: ``nominal``, ``uncorrected`` if there is anything to correct,
    and the variations of objects; ``weights`` are the variations of the weight of the nominal pass. ``moves`` are the
    shape variations that leave the selection alone, with the collections that they move.
    """

    shapes: tuple[str, ...]
    weights: frozenset[str]
    moves: Mapping[str, tuple[str, ...]]
    sources: tuple[Systematic, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """The categories of the axis ``variation``."""
        done = (NOMINAL, UNCORRECTED)
        first = tuple(name for name in done if name in self.shapes)
        return (*first, *systematics.variations(self.sources)[1:])


class CmsAnalysis(base.Analysis):
    """An analysis of CMS NanoAOD.

    Raises:
        UserError: a systematic is unknown, or belongs to a correction that no era applies.
    """

    schema = "nanoaod"
    parameters: CmsParameters

    def __init__(
        self, parameters: CmsParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        applied = {name for era in self.eras.values() for name in self.applied_in(era)}
        # A name that no era knows is a mistake; one that some eras lack is left out there.
        systematics.chosen(self.parameters.systematics, applied, strict=bool(self.eras))

    def applied_in(self, era: base.EraInputs) -> tuple[str, ...]:
        """Return the corrections that are applied in ``era``: those with a file there, and those without any file."""
        if era.era == base.NO_ERA:
            return ()
        asked = self.parameters.corrections
        return (*era.corrections, *(name for name in asked if name in FILE_FREE or in_the_events(name, era.era)))

    def systematics(self, era: base.EraInputs) -> tuple[Systematic, ...]:
        """See :meth:`base.Analysis.systematics`."""
        return systematics.chosen(self.parameters.systematics, self.applied_in(era), strict=False)

    def varied(self, era: base.EraInputs, is_data: bool, *, selected_by: Collection[str]) -> Varied:
        """Return what is varied in a chunk of data, or of simulation.

        Args:
            era: of the chunk.
            is_data: data have no systematic variations.
            selected_by: the collections that the selection of events looks at.
        """
        sources = () if is_data else self.systematics(era)
        shapes = [one for one in sources if one.kind == "shape"]
        aside = [one for one in shapes if set(one.touches).isdisjoint(selected_by)]
        return Varied(
            shapes=(
                NOMINAL,
                *((UNCORRECTED,) if era.corrections else ()),
                *(name for one in shapes for name in one.variations),
            ),
            weights=frozenset(name for one in sources if one.kind == "weight" for name in one.variations),
            moves={name: one.touches for one in aside for name in one.variations},
            sources=sources,
        )

    def variations(self, era: base.EraInputs) -> tuple[str, ...]:
        """See :meth:`base.Analysis.variations`."""
        return self.varied(era, False, selected_by=()).all

    @staticmethod
    def with_file(corrections: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return those of ``corrections`` that have a file to look for."""
        return {name: point for name, point in corrections.items() if name not in FILE_FREE}

    def recipe_of(self, cuts: Mapping[str, str], regions: Mapping[str, Mapping[str, bool]]) -> base.Recipe:
        """Return what the analysis does: its cuts in words and its regions, with the corrections that it applies."""
        applied = dict.fromkeys(name for era in self.eras.values() for name in self.applied_in(era))
        sources = dict.fromkeys(one for era in self.eras.values() for one in self.systematics(era))
        # Weights of the generator are there to be varied: the nominal result does not have them.
        weigh = [name for name in applied if name not in GENERATOR_WEIGHTS]
        names = tuple(name for name in EFFECTS if name == GENERATOR or name in weigh)
        variations = {NOMINAL: names, **({UNCORRECTED: (GENERATOR,)} if len(names) > 1 else {})}
        # Beside what is nominal: the one thing that is varied.
        variations |= {name: (one.label or one.name,) for one in sources for name in one.variations}
        effects = {name: EFFECTS[name] for name in names}
        effects |= {one.label or one.name: f"varied: {one.kind} of {', '.join(one.touches)}" for one in sources}
        return base.Recipe(cuts=cuts, regions=regions, corrections=effects, variations=variations)
