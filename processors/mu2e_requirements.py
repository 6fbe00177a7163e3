"""What the Mu2e analyses read of an EventNtuple, as dotted places of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..selections.mu2e_cuts import TIME_CUTS
from . import base
from .requirements import Requirement

if TYPE_CHECKING:
    from .mu2e_parameters import Mu2eParameters

NO_TRUTH = "Without simulated particles leave the cut on truth out: --set cuts.is_truth_electron=false."
OTHER_FIT = "The fit is that of the parameter 'fit' (lh, ch or kl); without it, the one that the file has."


def cut_requirements(parameters: Mu2eParameters, kind: base.Kind) -> tuple[Requirement, ...]:
    """Return what the cuts of ``parameters`` read from data or simulation."""
    active = {name for cutset in parameters.resolved() for name, on in cutset.active.items() if on}
    fit = parameters.fit or "pars"
    found = [
        Requirement(component="event identity", branches=("run", "subrun", "event")),
        Requirement(component="tracks", branches=("trk.pdg", "trk.nactive", "trk.qual.result")),
        Requirement(
            component="track segments",
            branches=("trk.segs.sid", "trk.segs.time", "trk.segs.momerr", *_vector("trk.segs.mom")),
        ),
        Requirement(component="track fit", branches=(f"trk.{fit}.d0", f"trk.{fit}.t0err"), advice=OTHER_FIT),
        Requirement(component="largest radius", branches=(f"trk.{fit}.maxr",), need="none"),
        Requirement(component="CRV coincidences", branches=("crv.time",)),
    ]
    if kind == "mc" and "is_truth_electron" in active:
        branches = ("trk.mcsim.pdg", "trk.mcsim.nhits")
        found.append(Requirement(component="truth of tracks", branches=branches, advice=NO_TRUTH))
    if active & set(TIME_CUTS) or parameters.coincidence_time in ("event", "filter"):
        advice = "Leave the limits out: --set coincidence_time=off."
        branches = ("crv.timeStart", "crv.timeEnd")
        found.append(Requirement(component="coincidence times", branches=branches, advice=advice))
    return tuple(found)


def histogram_requirements(kind: base.Kind) -> tuple[Requirement, ...]:
    """Return what histograms and the table of events read besides."""
    found = [
        Requirement(component="CRV histograms", branches=("crv.timeStart", "crv.timeEnd", "crv.pos.z"), need="any"),
    ]
    if kind == "mc":
        true = ("trk.segsmc.sid", *_vector("trk.segsmc.mom"))
        found.append(Requirement(component="momentum resolution", branches=true, need="together"))
        origin = ("trk.mcsim.rank", "trk.mcsim.startCode", *_vector("trk.mcsim.mom"))
        found.append(Requirement(component="truth of events", branches=origin, need="together"))
    return tuple(found)


def coincidence_requirements() -> tuple[Requirement, ...]:
    """Return what the table of coincidences reads besides."""
    names = ("PEs", "nHits", "nLayers", "angle", "timeStart", "timeEnd", "time", "sectorType")
    return (
        Requirement(
            component="table of coincidences", branches=(*(f"crv.{name}" for name in names), *_vector("crv.pos"))
        ),
        Requirement(component="truth of coincidences", branches=("crvmc.valid", "crvmc.primary.y"), need="together"),
    )


def _vector(place: str) -> tuple[str, ...]:
    return tuple(f"{place}.{axis}" for axis in "xyz")
