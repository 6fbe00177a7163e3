"""Which correction of a new file is the successor of which in an old one, when their names carry versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..errors import UserError, closest

#: Words of a name that say which release of a correction it is: V2, JRV1, 22Sep2023, 20240611.
_RELEASE = re.compile(r"(?:JR)?[Vv]\d+[A-Za-z]?|\d{1,2}[A-Z][a-z]{2}20\d{2}|20\d{6}")
#: Words that say for which data taking or simulation: Summer22EE, Summer19UL18, UL2018, Collisions18, 2022EE.
_CAMPAIGN = re.compile(
    r"(?:(?:Run3)?(?:Spring|Summer|Autumn|Fall|Winter)\d\d\w*?|UL(?:20)?\d\d\w*?|Collisions(?:20)?\d\d|20[12]\d\w*?)"
)
#: Ranges of runs and their letters in the names of pile-up weights.
_RUNS = re.compile(r"\d{6}|era[A-Z]+|Run[A-Z]+")


class Matches(NamedTuple):
    """Pairs (old, new) in the order of the old names, and the names that only one side has."""

    pairs: tuple[tuple[str, str], ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]


def match_keys(old: Sequence[str], new: Sequence[str]) -> Matches:
    """Match names: the same first, then those that differ by release, then by release and campaign.

    `Summer22EE_22Sep2023_V2_MC_Total_AK4PFPuppi` and `Summer22EE_22Sep2023_V3_MC_Total_AK4PFPuppi` differ by
    release. A name with two possible partners stays without one. Files with one correction each have one pair.
    """
    if len(old) == len(new) == 1:
        return Matches(((old[0], new[0]),), (), ())
    pairs: dict[str, str] = {key: key for key in old if key in set(new)}
    for normal in (_without_release, _without_campaign, _without_runs):
        left = _unique((key for key in old if key not in pairs), normal)
        right = _unique((key for key in new if key not in pairs.values()), normal)
        pairs |= {left[name]: right[name] for name in left if name in right}
    return Matches(
        tuple((key, pairs[key]) for key in old if key in pairs),
        tuple(key for key in old if key not in pairs),
        tuple(key for key in new if key not in pairs.values()),
    )


def one_key(key: str, available: Sequence[str], path: object) -> str:
    """Return `key` if it is available. Raises UserError, with the closest names, if not."""
    if key not in available:
        raise UserError(f"{path} has no correction '{key}'.{closest(key, available)} It has: {', '.join(available)}.")
    return key


def _unique(keys: Iterable[str], normal: Callable[[str], str]) -> dict[str, str]:
    """Return normal name → key of those that share it with no other."""
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(normal(key), []).append(key)
    return {name: same[0] for name, same in found.items() if len(same) == 1}


def _without_release(key: str) -> str:
    return "_".join("*" if _RELEASE.fullmatch(word) else word for word in key.split("_"))


def _without_campaign(key: str) -> str:
    words = _without_release(key).split("_")
    return "_".join("*" if _CAMPAIGN.fullmatch(word) else word for word in words)


def _without_runs(key: str) -> str:
    """Without runs as well, and without the places of what was left out: those differ in number."""
    words = _without_campaign(key).split("_")
    return "_".join(word for word in words if word != "*" and not _RUNS.fullmatch(word))
