"""Ids of the surfaces that Mu2e tracks are extrapolated to, by name; the numbers changed once, 0–2 never.

Source: enum ``SurfaceIdDetail`` of Mu2e Offline (DataProducts/inc/SurfaceId.hh), in its versions.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UserError, closest

Version = tuple[int, ...]

_ALWAYS = {"TT_Front": 0, "TT_Mid": 1, "TT_Back": 2, "TT_Inner": 3, "TT_Outer": 4}
_DS = {"DS_Front": 80, "DS_Back": 81, "DS_Inner": 82, "DS_Outer": 83}
_TARGET = {"ST_Front": 100, "ST_Back": 101, "ST_Inner": 102, "ST_Outer": 103, "ST_Foils": 104, "ST_Wires": 105}

#: First version of EventNtuple → surface → id; a file belongs to the last row that is not newer than it.
TABLE: Mapping[Version, Mapping[str, int]] = {
    (6, 0, 0): {**_ALWAYS, **_DS, "IPA": 84, "IPA_Front": 85, "IPA_Back": 86, "OPA": 87, "TSDA": 88, **_TARGET},
    (6, 3, 0): {
        **_ALWAYS,
        **_DS,
        **{"IPA": 90, "IPA_Front": 91, "IPA_Back": 92, "OPA": 95, "TSDA": 96},
        **_TARGET,
        "TCRV": 200,
    },
    (6, 7, 0): {
        **_ALWAYS,
        **_DS,
        **{"IPA_Legacy": 84, "IPA": 90, "IPA_Front": 91, "IPA_Back": 92, "OPA": 95, "TSDA": 96},
        **_TARGET,
    },
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
