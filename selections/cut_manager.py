"""Named cuts that are switched on and off: on events and on their objects (tracks, candidates), packed into bits.

Cuts are added once; every combination of them (stages, N−1, several sets of cuts) is then an operation on one integer
an object and one an event. An event passes a combination if any of its objects passes all cuts of it, or, where the
combination has no cut on objects, if the event itself does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError, closest
from .cut_flow import ALL, Flow, flow_of_combinations, flow_of_masks, table

Mask = npt.NDArray[np.bool_]
#: Bits of an integer.
MOST_CUTS = 64


@dataclass(frozen=True)
class Cut:
    """A named cut; ``bit`` is its place among those of its level."""

    name: str
    description: str
    group: str | None
    on_objects: bool
    bit: np.uint64


class CutManager:
    """The cuts of a chunk of events.

    Args:
        n_events: number of events.
        counts: ``[events]`` objects of each event; None if no cut is on objects.
    """

    def __init__(self, n_events: int, counts: npt.ArrayLike | None = None) -> None:
        self._n_events = n_events
        self._counts = None if counts is None else np.asarray(counts, dtype=np.int64)
        if self._counts is not None and self._counts.shape != (n_events,):
            raise ValueError(f"counts have shape {self._counts.shape}, there are {n_events} events")
        n_objects = 0 if self._counts is None else int(self._counts.sum())
        self._event_of_object = np.repeat(np.arange(n_events), 0 if self._counts is None else self._counts)
        self._event_codes = np.zeros(n_events, dtype=np.uint64)
        self._object_codes = np.zeros(n_objects, dtype=np.uint64)
        self._cuts: dict[str, Cut] = {}
        self._active: dict[str, bool] = {}
        self._original: dict[str, bool] = {}
        self._states: dict[str, dict[str, bool]] = {}

    def add(
        self,
        name: str,
        mask: Any,
        *,
        description: str = "",
        group: str | None = None,
        active: bool = True,
        level: Literal["event", "object"] | None = None,
    ) -> None:
        """Append a cut.

        Args:
            name: not yet taken.
            mask: ``[events]``, or ``[events, objects]`` as a jagged array or flattened; what is missing (None) fails.
            description: for tables.
            group: several cuts of one group are switched together.
            active: whether the cut is applied where no names are given.
            level: what a flat mask is on; needed where there are as many objects as events. None takes the events then.

        Raises:
            UserError: the name is taken, or there are more than 64 cuts of a level.
            ValueError: the mask fits neither the events nor their objects.
        """
        if name in self._cuts or name == ALL:
            raise UserError(f"There is a cut '{name}' already. Give this one another name.")
        passed, on_objects = self._flat(name, mask, level)
        place = sum(cut.on_objects == on_objects for cut in self._cuts.values())
        if place >= MOST_CUTS:
            raise UserError(f"The cut '{name}' is one too many: {MOST_CUTS} fit on events, and as many on objects.")
        bit = np.uint64(1) << np.uint64(place)
        codes = self._object_codes if on_objects else self._event_codes
        codes |= passed.astype(np.uint64) << np.uint64(place)
        self._cuts[name] = Cut(name, description, group, on_objects, bit)
        self._active[name] = self._original[name] = active

    def _flat(self, name: str, mask: Any, level: Literal["event", "object"] | None) -> tuple[Mask, bool]:
        """Return a mask as a flat array without None, and whether it is on objects."""
        if isinstance(mask, ak.Array) and mask.ndim > 1:
            # An event whose list is missing has no objects here.
            mask = ak.fill_none(mask, [], axis=0)
            counts = ak.to_numpy(ak.num(mask, axis=1))
            if self._counts is None or not np.array_equal(counts, self._counts):
                raise ValueError(self._mismatch(name, counts))
            return self._truth(name, ak.flatten(mask, axis=1)), True
        flat = self._truth(name, mask)
        if len(flat) == self._n_events and level != "object":
            return flat, False
        if self._counts is not None and len(flat) == len(self._object_codes) and level != "event":
            return flat, True
        raise ValueError(
            f"the cut '{name}' has {len(flat)} values for {self._n_events} events, "
            f"which have {len(self._object_codes)} objects"
        )

    def _mismatch(self, name: str, counts: npt.NDArray[np.int64]) -> str:
        """Return why a mask on ``counts`` objects of each event does not fit."""
        if self._counts is None:
            return f"the cut '{name}' is on objects, of which this manager has no counts"
        message = (
            f"the cut '{name}' is on {int(counts.sum())} objects of {len(counts)} events, "
            f"the others are on {len(self._object_codes)} objects of {self._n_events} events"
        )
        if len(counts) == self._n_events:
            event = int(np.flatnonzero(counts != self._counts)[0])
            message += f"; event {event} has {counts[event]} here and {self._counts[event]} there"
        return message

    @staticmethod
    def _truth(name: str, mask: Any) -> Mask:
        """Return a mask of one dimension as truth values, False where they are missing."""
        if isinstance(mask, ak.Array):
            if mask.ndim != 1:
                raise ValueError(f"the cut '{name}' must have one value for each event or object, not lists of them")
            mask = ak.fill_none(mask, False, axis=0)
        flat = np.asarray(np.ma.filled(mask, False))
        # An empty list has no type of its own.
        if flat.ndim != 1 or (flat.size and flat.dtype != np.bool_):
            raise ValueError(f"the cut '{name}' must be an array of truth values, not {flat.ndim}-d of {flat.dtype}")
        return flat.astype(bool, copy=False)

    # What is there, and what is on.

    @property
    def names(self) -> tuple[str, ...]:
        """All cuts, in the order in which they were added."""
        return tuple(self._cuts)

    @property
    def active(self) -> tuple[str, ...]:
        """The cuts that are on, in order."""
        return tuple(name for name in self._cuts if self._active[name])

    @property
    def groups(self) -> dict[str | None, tuple[str, ...]]:
        """Group → its cuts; those without a group under None."""
        found: dict[str | None, tuple[str, ...]] = {}
        for cut in self._cuts.values():
            found[cut.group] = (*found.get(cut.group, ()), cut.name)
        return found

    @property
    def saved_states(self) -> tuple[str, ...]:
        """Names of the states that were saved."""
        return tuple(self._states)

    def is_active(self, name: str) -> bool:
        """Whether a cut is on."""
        return self._active[self._cut(name).name]

    def description(self, name: str) -> str:
        """What a cut requires, in words."""
        return self._cut(name).description

    def group(self, name: str) -> str | None:
        """The group of a cut."""
        return self._cut(name).group

    def toggle(self, states: Mapping[str, bool]) -> None:
        """Switch cuts on and off.

        Raises:
            UserError: there is no such cut; nothing is switched then.
        """
        for name in states:
            self._cut(name)
        self._active.update(states)

    def toggle_groups(self, states: Mapping[str, bool]) -> None:
        """Switch all cuts of groups on and off.

        Raises:
            UserError: there is no such group; nothing is switched then.
        """
        groups = self.groups
        for group in states:
            if group not in groups or group is None:
                known = [one for one in groups if one is not None]
                raise UserError(f"There is no group '{group}' of cuts.{closest(group, known)} There are: {known}.")
        for group, state in states.items():
            self._active.update(dict.fromkeys(groups[group], state))

    def save_state(self, name: str) -> None:
        """Remember which cuts are on."""
        self._states[name] = dict(self._active)

    def restore_state(self, name: str) -> None:
        """Switch every cut as it was at :meth:`save_state`; one that was added later stays as it is.

        Raises:
            UserError: no such state was saved.
        """
        if name not in self._states:
            raise UserError(f"No state '{name}' of the cuts was saved.{closest(name, self._states)}")
        self._active.update(self._states[name])

    def restore_original(self) -> None:
        """Switch every cut as it was when it was added."""
        self._active = dict(self._original)

    def _cut(self, name: str) -> Cut:
        if name not in self._cuts:
            raise UserError(f"There is no cut '{name}'.{closest(name, self._cuts)} There are: {', '.join(self._cuts)}.")
        return self._cuts[name]

    # Combinations.

    def events(self, names: Iterable[str] | None = None) -> Mask:
        """Return ``[events]`` which pass all of ``names`` (None: the active cuts)."""
        return self._passed(*self._bits(names))

    def objects(self, names: Iterable[str] | None = None) -> Mask:
        """Return ``[objects]``, flat, which pass all of ``names`` (None: the active cuts) together with their event."""
        of_events, of_objects = self._bits(names)
        passed: Mask = (self._object_codes & of_objects) == of_objects
        if of_events:
            passed &= ((self._event_codes & of_events) == of_events)[self._event_of_object]
        return passed

    def without(self, *names: str) -> Mask:
        """Return ``[events]`` which pass all active cuts but ``names``: N−1 of one cut, N−k of several."""
        dropped = {self._cut(name).name for name in names}
        return self.events([name for name in self.active if name not in dropped])

    def require(self, **states: bool) -> Mask:
        """Return ``[events]`` which pass the cuts that are True and fail those that are False, all of them on events.

        Raises:
            UserError: there is no such cut, or it is on objects: which of them is to fail?
        """
        wanted = failed = np.uint64(0)
        for name, state in states.items():
            cut = self._cut(name)
            if cut.on_objects:
                raise UserError(f"The cut '{name}' is on objects; 'require' takes cuts on events.")
            wanted, failed = (wanted | cut.bit, failed) if state else (wanted, failed | cut.bit)
        passed: Mask = (self._event_codes & (wanted | failed)) == wanted
        return passed

    def pass_bits(self) -> dict[str, Mask]:
        """Return cut → ``[events]`` or flat ``[objects]`` that pass it, on its own."""
        return {
            cut.name: ((self._object_codes if cut.on_objects else self._event_codes) & cut.bit) != 0
            for cut in self._cuts.values()
        }

    def flow(self, weights: Any = None, names: Iterable[str] | None = None) -> Flow:
        """Return the additive cut flow of events (:mod:`.cut_flow`) over ``names`` in their order (None: the active).

        Row k counts events with an object that passes the first k cuts; ``n_alone`` those with an object that passes
        this cut; ``n_minus_one`` those with an object that passes all others. ``weights`` are ``[events]``.

        Raises:
            UserError: a name is unknown or there twice.
        """
        chosen = self._chosen(names)
        w = self._weights(weights, self._n_events)
        if any(self._cut(name).on_objects for name in chosen):
            return flow_of_combinations(chosen, w, self.events)
        return flow_of_masks(chosen, [self.events([name]) for name in chosen], w)

    def object_flow(self, weights: Any = None, names: Iterable[str] | None = None) -> Flow:
        """Return the same for objects; ``weights`` are ``[objects]``, flat."""
        chosen = self._chosen(names)
        w = self._weights(weights, len(self._object_codes))
        return flow_of_combinations(chosen, w, self.objects)

    def _chosen(self, names: Iterable[str] | None) -> tuple[str, ...]:
        """Return the cuts of a flow, each of which is a row of it."""
        chosen = self.active if names is None else tuple(names)
        for i, name in enumerate(chosen):
            if self._cut(name).name in chosen[:i]:
                raise UserError(f"The cut flow names the cut '{name}' twice. Leave one of them out.")
        return chosen

    def table(self, flow: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return a merged flow of these cuts as :func:`.cut_flow.table`, with their groups and descriptions."""
        cuts = self._cuts
        return table(
            flow, {name: cut.group for name, cut in cuts.items()}, {name: cut.description for name, cut in cuts.items()}
        )

    def _weights(self, weights: Any, length: int) -> npt.NDArray[np.float64]:
        if weights is None:
            return np.ones(length)
        flat = np.asarray(weights, dtype=np.float64)
        if flat.shape != (length,):
            raise ValueError(f"weights have shape {flat.shape}, expected {length}")
        return flat

    def _bits(self, names: Iterable[str] | None) -> tuple[np.uint64, np.uint64]:
        """Return the bits to ask for of events and of objects."""
        of_events = of_objects = np.uint64(0)
        for name in self.active if names is None else names:
            cut = self._cut(name)
            if cut.on_objects:
                of_objects |= cut.bit
            else:
                of_events |= cut.bit
        return of_events, of_objects

    def _passed(self, of_events: np.uint64, of_objects: np.uint64) -> Mask:
        passed: Mask = (self._event_codes & of_events) == of_events
        if of_objects:
            passed &= self._any((self._object_codes & of_objects) == of_objects)
        return passed

    def _any(self, of_objects: Mask) -> Mask:
        """Return ``[events]`` with any object that passes; False without objects."""
        found: Mask = np.zeros(self._n_events, dtype=bool)
        found[self._event_of_object[of_objects]] = True
        return found
