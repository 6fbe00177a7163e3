"""The one declaration of systematic uncertainties: each source once, with its kind, what it touches and how it is
correlated; and the names of its variations.

A *shape* source moves objects: the selection runs again on the varied objects. A *weight* source moves the weight of
events: histograms are only filled again. The variations of a source are `<source>Up` and `<source>Down`; a source with
`members` (replicas or eigenvectors of parton densities, scale points) has one variation a member, `<source><member>`,
which a result combines to up and down (`outputs.systematics`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from ..errors import UserError, closest

NOMINAL = "nominal"
#: What a user may ask for besides names of sources.
NONE, WEIGHTS, ALL = "none", "weights", "all"

Kind = Literal["weight", "shape"]
Collections = Literal["muons", "electrons", "jets", "met", "weight"]
Combination = Literal["up_down", "hessian", "replicas", "envelope"]


class Systematic(BaseModel):
    """A source of systematic uncertainty.

    Args:
        name: of the source; `{name}Up` and `{name}Down` are its variations.
        kind: `shape` moves objects, `weight` the weight of events.
        correction: the correction (of the catalogue, or of the generator) that it belongs to; without that correction,
            there is no such source.
        touches: what it moves: collections, or `weight`.
        eras: `correlated` between eras, or a nuisance parameter for each (`by_era`).
        processes: `correlated` between processes, or one for each (`by_process`).
        cms_name: of the nuisance parameter in data cards; `{era}` and `{process}` are filled in.
        label: for plots and tables.
        combination: how members are combined; `up_down` has no members.
        members: names of the members, appended to the name of the source.
        optional: a part of another source (a split, or its members), taken only where it is named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    correction: str
    touches: tuple[Collections, ...]
    eras: Literal["correlated", "by_era"] = "by_era"
    processes: Literal["correlated", "by_process"] = "correlated"
    cms_name: str = ""
    label: str = ""
    combination: Combination = "up_down"
    members: tuple[str, ...] = ()
    optional: bool = False

    @property
    def variations(self) -> tuple[str, ...]:
        """The names of its variations."""
        if self.members:
            return tuple(f"{self.name}{member}" for member in self.members)
        return (f"{self.name}Up", f"{self.name}Down")


@cache
def sources() -> dict[str, Systematic]:
    """Return every source that mucoffea knows, by name, in the order of `systematics.yaml`."""
    text = resources.files(__package__).joinpath("systematics.yaml").read_text(encoding="utf-8")
    found = TypeAdapter(tuple[Systematic, ...]).validate_python(yaml.safe_load(text))
    return {one.name: one for one in found}


def chosen(request: Sequence[str], corrections: Collection[str], *, strict: bool = True) -> tuple[Systematic, ...]:
    """Return the sources that a request asks for, of those that the applied `corrections` have.

    `request` is `none`, `weights`, `all` or names of sources (`all` and `weights` leave optional ones out; names may be
    added to them). Raises UserError for a name that is not known, and, if `strict`, for one whose correction is not
    applied; otherwise that source is left out.
    """
    known = {name: one for name, one in sources().items() if one.correction in corrections}
    wanted: dict[str, Systematic] = {}
    for name in request:
        if name == NONE:
            continue
        if name in (WEIGHTS, ALL):
            plain = (one for one in known.values() if not one.optional and (name == ALL or one.kind == "weight"))
            wanted |= {one.name: one for one in plain}
        elif name in known:
            wanted[name] = known[name]
        elif name in sources() and not strict:
            continue
        elif name in sources():
            raise UserError(
                f"The systematic '{name}' belongs to the correction '{sources()[name].correction}', which is not "
                "applied. Add it to the parameter 'corrections', or leave the systematic out."
            )
        else:
            names = [one.name for one in (known or sources()).values() if not one.members]
            near = closest(name, (*sources(), NONE, WEIGHTS, ALL))
            raise UserError(
                f"There is no systematic '{name}'.{near} Use none, weights, all, or names of: {', '.join(names)}."
            )
    return tuple(one for one in sources().values() if one.name in wanted)


def variations(systematics: Iterable[Systematic]) -> tuple[str, ...]:
    """Return `nominal` and the variations of all sources, in order."""
    return (NOMINAL, *(name for one in systematics for name in one.variations))


def of_variation(variation: str, systematics: Iterable[Systematic]) -> Systematic | None:
    """Return the source that has `variation`; None for `nominal` and what is no systematic."""
    return next((one for one in systematics if variation in one.variations), None)


def direction(variation: str) -> Literal["up", "down", "nominal"]:
    """Return where a variation goes: `up`, `down`, or `nominal` for what ends in neither `Up` nor `Down`."""
    if variation.endswith("Up"):
        return "up"
    return "down" if variation.endswith("Down") else "nominal"
