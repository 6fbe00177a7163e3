"""Ids of the surfaces that Mu2e tracks are extrapolated to, by name; their numbers changed once, the tracker's never.

The names and both numberings are those of ``SurfaceIdDetail`` in Mu2e Offline (DataProducts/inc/SurfaceId.hh). Which
version of EventNtuple came with which is not written anywhere: real files of 6.3 have the second (TSDA, 96, lies at
z = -5967 mm), and that older ones have the first is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UserError, closest

Version = tuple[int, ...]

_ALWAYS = {"TT_Front": 0, "TT_Mid": 1, "TT_Back": 2, "TT_Inner": 3, "TT_Outer": 4}
_DS = {"DS_Front": 80, "DS_Back": 81, "DS_Inner": 82, "DS_Outer": 83}
_TARGET = {"ST_Front": 100, "ST_Back": 101, "ST_Inner": 102, "ST_Outer": 103, "ST_Foils": 104}
_TEST_PLANES = {"TCRV": 200}
_FIRST_ABSORBERS = {"IPA": 84, "OPA": 85, "TSDA": 86}
_ABSORBERS = {"IPA_Legacy": 84, "IPA": 90, "IPA_Front": 91, "IPA_Back": 92, "OPA": 95, "TSDA": 96}

#: First version of EventNtuple → surface → id; a file belongs to the last row that is not newer than it.
TABLE: Mapping[Version, Mapping[str, int]] = {
    (0, 0, 0): {**_ALWAYS, **_DS, **_FIRST_ABSORBERS, **_TARGET, **_TEST_PLANES},
    (6, 3, 0): {**_ALWAYS, **_DS, **_ABSORBERS, **_TARGET, "ST_Wires": 105, **_TEST_PLANES},
}


def surface_ids(version: Version | None = None) -> Mapping[str, int]:
    """Return surface → id for files of a version of EventNtuple; None, where a file does not say, is the newest."""
    if version is None:
        return TABLE[max(TABLE)]
    return TABLE[max((first for first in TABLE if first <= tuple(version)), default=min(TABLE))]


def surface_id(name: str, version: Version | None = None) -> int:
    """Return the id of a surface.

    Raises:
        UserError: there is no surface of that name, with the closest one.
    """
    table = surface_ids(version)
    if name not in table:
        raise UserError(
            f"EventNtuple{_written(version)} has no surface '{name}'.{closest(name, table)} Known: {', '.join(table)}."
        )
    return table[name]


def _written(version: Version | None) -> str:
    return "" if version is None else " v" + ".".join(str(part) for part in version)
