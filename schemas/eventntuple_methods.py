"""What tracks and segments of a Mu2e EventNtuple can be asked; plain functions, which the records offer as properties.

Letters in shapes: E event, T track (one fit hypothesis of a particle), S segment (crossing of a surface).
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents.methods import base
from vector.backends.awkward import behavior as vectors

from .surfaces import Version, surface_id


def magnitude(momentum: Any) -> Any:
    """Return √(x² + y² + z²) of 3-vectors, in their unit and precision; the shape is kept."""
    return np.sqrt(momentum.x**2 + momentum.y**2 + momentum.z**2)


def pitch(momentum: Any) -> Any:
    """Return pz/pT of momenta, which is tan(dip); 0 where pT = 0. The shape is kept.

    ``tanDip`` of the fit parameters disagrees with it in some productions and is not used.
    """
    transverse = np.sqrt(momentum.x**2 + momentum.y**2)
    positive = transverse > 0
    return ak.where(positive, momentum.z / ak.where(positive, transverse, 1), 0 * transverse)


def at_surface(segments: Any, surface: str | int, version: Version | None = None) -> Any:
    """Return ``[E,T,S]`` whether segments lie on a surface, given by name or id.

    Args:
        segments: with ``sid``.
        surface: such as ``TT_Front``.
        version: of the EventNtuple; the ids of the tracker's surfaces are the same in all.

    Raises:
        UserError: there is no surface of that name.
    """
    return segments.sid == (surface if isinstance(surface, int) else surface_id(surface, version))


def reflected(tracks: Any) -> Any:
    """Return ``[E,T]`` whether tracks cross the tracker's front upstream and downstream: mirrored by the field."""
    front = at_surface(tracks.segs, "TT_Front")
    pz = tracks.segs.mom.z
    return ak.any(front & (pz < 0), axis=-1) & ak.any(front & (pz > 0), axis=-1)


class _Track:
    @property
    def reflected(self) -> Any:
        """See :func:`reflected`."""
        return reflected(self)


class _Segment:
    @property
    def p(self) -> Any:
        """|p| in MeV/c."""
        return magnitude(self.mom)  # type: ignore[attr-defined]

    @property
    def pitch(self) -> Any:
        """See :func:`pitch`."""
        return pitch(self.mom)  # type: ignore[attr-defined]

    def at(self, surface: str | int, version: Version | None = None) -> Any:
        """Return the segments on a surface."""
        return self[at_surface(self, surface, version)]  # type: ignore[index]


def _methods() -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for name, methods in (("Mu2eTrack", _Track), ("Mu2eSegment", _Segment)):
        made[name] = type(f"{name}Record", (methods, ak.Record), {})
        made["*", name] = type(f"{name}Array", (methods, ak.Array), {})
    return made


#: For ``awkward.Array(..., behavior=behavior)``: events, vectors, tracks and segments.
behavior = {**base.behavior, **vectors, **_methods()}
