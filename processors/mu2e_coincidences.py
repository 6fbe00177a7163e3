"""Mu2e: a Parquet row for each coincidence of a selected track, the input of the dT study and of a trained veto."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import awkward as ak
import numpy as np
from pydantic import Field

from ..outputs.columns import table
from ..selections.mu2e_arrays import Mask, numbers
from ..selections.mu2e_crv import Coincidences, TimeDifferences, time_differences
from ..selections.mu2e_cuts import VETO, VETO_CUT, Chunk
from ..selections.mu2e_tracks import Tracks, reduce_tracks
from . import base
from .mu2e_columns import IDENTITY, track_columns
from .mu2e_parameters import Mu2eParameters, check_defined
from .mu2e_recipe import cut_sentences
from .mu2e_requirements import coincidence_requirements, cut_requirements
from .mu2e_stages import Masks

#: Height from which the primary of a coincidence must come to be a cosmic ray, mm; beam starts far below.
COSMIC_HEIGHT = 5000.0
#: Column → quantity of the coincidence.
FROM_CRV = {
    "crv_x": "pos.x",
    "crv_y": "pos.y",
    "crv_z": "pos.z",
    "PEs": "PEs",
    "nHits": "nHits",
    "nLayers": "nLayers",
    "angle": "angle",
    "timeStart": "timeStart",
    "timeEnd": "timeEnd",
    "crv_time": "time",
    "sector": "sectorType",
}
FROM_TRACK = {"t0": "t_mid", "d0": "d0", "tanDip": "pitch", "maxr": "maxr", "mom_mag": "p_front"}


def coincidence_table(events: Any, chosen: Mask | None = None, *, fit: str = "pars") -> dict[str, np.ndarray]:
    """Return the table of coincidences of ``events``.

    Args:
        events: ``[E]`` records as the schema of the EventNtuple has them.
        chosen: tracks [T] that take part, flat over all events; all electron fits without.
        fit: field with the fit parameters.

    Returns:
        Columns of equal length: those of :func:`coincidence_rows`, with run, subrun, event, and ``is_cosmic`` where the
        coincidences have truth.
    """
    tracks, coincidences = reduce_tracks(events, fit, truth=False), Coincidences(events.crv)
    return _table(events, tracks, coincidences, tracks.electron if chosen is None else chosen)


def _table(events: Any, tracks: Tracks, coincidences: Coincidences, chosen: Mask) -> dict[str, np.ndarray]:
    pairs = time_differences(tracks, coincidences)
    event, coincidence, rows = coincidence_rows(tracks, coincidences, pairs, chosen)
    found = {**{name: numbers(events[name])[event] for name in IDENTITY}, **rows}
    if "crvmc" in events.fields and "primary" in events.crvmc.fields:
        truth = is_cosmic(events.crvmc)
        found["is_cosmic"] = np.zeros(len(event), dtype=bool)
        found["is_cosmic"][coincidence >= 0] = truth[coincidence[coincidence >= 0]]
    return found


def coincidence_rows(
    tracks: Tracks, coincidences: Coincidences, pairs: TimeDifferences, chosen: Mask
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return one row for each middle crossing of a chosen track and coincidence of its event, in the order of the file.

    An event with chosen tracks but no such pair has one row, of its first chosen track, whose quantities of the
    coincidence are NaN and whose ``has_coincidence`` is False, so that it is counted.

    Returns:
        Position of the event, position of the coincidence (-1 without), and columns, ``[rows]`` each.
    """
    pairs = pairs.take(chosen[tracks.mid.track[pairs.crossing]])
    where = np.flatnonzero(chosen)
    events, first = np.unique(tracks.event[where], return_index=True)
    alone = pairs.counts[events] == 0
    event = np.concatenate([pairs.event, events[alone]])
    track = np.concatenate([tracks.mid.track[pairs.crossing], where[first][alone]])
    coincidence = np.concatenate([pairs.coincidence, np.full(np.count_nonzero(alone), -1)])
    of_track = track_columns(tracks, track)
    columns = {"dT": np.concatenate([pairs.dt, np.full(np.count_nonzero(alone), np.nan)])}
    columns |= {name: _or_nan(coincidences[quantity], coincidence) for name, quantity in FROM_CRV.items()}
    hits = columns["nHits"]
    columns["PEs_per_hit"] = np.divide(columns["PEs"], hits, out=np.where(np.isnan(hits), np.nan, 0.0), where=hits > 0)
    missing = np.full(len(track), np.nan)
    columns |= {name: of_track.get(quantity, missing) for name, quantity in FROM_TRACK.items()}
    # Each crossing has its own time, also where a track has several.
    columns["t0"][: len(pairs.event)] = tracks.mid.values["time"][pairs.crossing]
    columns["has_coincidence"] = coincidence >= 0
    order = np.argsort(event, kind="stable")
    return event[order], coincidence[order], {name: values[order] for name, values in columns.items()}


def is_cosmic(crvmc: Any) -> np.ndarray:
    """Return ``[C]`` whether the simulated particle behind a coincidence began high above the detector."""
    return np.asarray(numbers(crvmc.valid).astype(bool) & (numbers(crvmc.primary.y) > COSMIC_HEIGHT))


def _or_nan(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    found = np.full(len(places), np.nan)
    found[places >= 0] = values[places[places >= 0]]
    return found


class CoincidenceParameters(Mu2eParameters):
    """Parameters of the table of coincidences: one cutset, whose veto is not asked."""

    cutsets: tuple[str, ...] = Field(default=("MLPreprocess",), min_length=1, max_length=1)


class CoincidenceTable(base.Analysis):
    """See the module. Every active cut of the (one) cutset is asked but the veto."""

    parameters_model: ClassVar[type[base.Parameters]] = CoincidenceParameters
    schema = "eventntuple"
    parameters: CoincidenceParameters

    @classmethod
    def corrections(cls, parameters: CoincidenceParameters) -> Mapping[str, str | None]:  # noqa: ARG003 (none exist)
        """See :meth:`base.Analysis.corrections`."""
        return {}

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Any, ...]:  # noqa: ARG002 (no eras)
        """See :meth:`base.Analysis.requirements`."""
        return (*cut_requirements(self.parameters, kind), *coincidence_requirements())

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        sentences = cut_sentences(self.parameters, self.parameters.resolved())
        return base.Recipe(cuts={name: text for name, text in sentences.items() if name != VETO_CUT})

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        parameters = self.parameters
        (cutset, *_) = parameters.resolved()
        tracks = reduce_tracks(events, parameters.fit or "pars", truth=not base.is_data(events))
        coincidences = Coincidences(events.crv)
        chunk = Chunk(tracks, coincidences, time_differences(tracks, coincidences), parameters.legacy_vacuous)
        on_spill = parameters.on_spill(events.metadata)
        masks = Masks(chunk, on_spill=on_spill)
        check_defined((cutset,), masks.cuts, is_data=base.is_data(events), on_spill=on_spill)
        manager = masks.manager(cutset)
        manager.toggle_groups({VETO: False})
        rows = _table(events, tracks, coincidences, manager.objects())
        found = {
            "sumw": float(len(events)),
            "cutflow": manager.flow(),
            "hists": {},
            "columns": table(**{name: ak.Array(values) for name, values in rows.items()}),
            "counters": {"mu2e": {cutset.name: {"selected": int(np.count_nonzero(manager.events()))}}},
        }
        return base.result(events, found)
