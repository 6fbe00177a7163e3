"""Data-taking eras: luminosity, golden JSON, names used elsewhere, triggers and event filters (``eras.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from ..errors import UserError, closest
from .models import Luminosity, Strict, Text, Texts
from .yaml_source import read_document, validate

__all__ = ["ERAS_FILE", "Era", "Luminosity", "find_era", "load_eras"]

ERAS_FILE = Path(__file__).parents[1] / "datasets" / "eras.yaml"


class Era(Strict):
    """A period of data taking with one set of conditions and corrections.

    Args:
        name: canonical name.
        aliases: other spellings in use.
        year: of data taking.
        run: run of the LHC.
        com_energy: centre-of-mass energy in TeV.
        luminosity: certified, with its source.
        golden_json: file name of the certified luminosity sections.
        nanoaod: NanoAOD version usually analysed.
        pog_folders: names of the era's folder at the POGs: jsonpog-integration, then CAT.
        met_filters: ``Flag_`` branches that an event must pass.
        triggers: ``single_muon`` and ``double_muon`` → HLT paths, unprescaled in at least a part of the era.
    """

    name: Text
    aliases: Texts = ()
    year: int
    run: Literal[2, 3]
    com_energy: float = Field(gt=0, allow_inf_nan=False)
    luminosity: Luminosity | None = None
    golden_json: Text | None = None
    nanoaod: Annotated[str, Field(pattern=r"^v\d+$")]
    pog_folders: Texts = ()
    met_filters: Texts = ()
    triggers: dict[str, Texts] = Field(default={})


@lru_cache
def load_eras(path: Path = ERAS_FILE) -> Mapping[str, Era]:
    """Return canonical name → era, in the order of the file.

    Raises:
        UserError: a mistake in the file, or a name or alias that two eras claim.
    """
    document = read_document(path)
    if not isinstance(document.data, list):
        document.fail("expected a list of eras, each with '- name: ...'.")
    eras: dict[str, Era] = {}
    owners: dict[str, str] = {}
    for index, value in enumerate(document.data):
        era = validate(Era, document, value, (index,))
        for name in (era.name, *era.aliases):
            if name.lower() in owners:
                document.fail(f"the eras {owners[name.lower()]} and {era.name} are both called '{name}'.", (index,))
            owners[name.lower()] = era.name
        eras[era.name] = era
    return MappingProxyType(eras)


def find_era(name: str) -> Era:
    """Return the era called ``name``: canonical, an alias or the name of its POG folder, in any case.

    Raises:
        UserError: there is none; the message has the closest names.
    """
    eras = load_eras()
    names = {spelling.lower(): era for era in eras.values() for spelling in (*era.pog_folders, *era.aliases, era.name)}
    found = names.get(name.lower())
    if found is None:
        spellings = [spelling for era in eras.values() for spelling in (era.name, *era.aliases)]
        raise UserError(f"There is no era '{name}'.{closest(name, spellings)} Known: {', '.join(eras)}.")
    return found
