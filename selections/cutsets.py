"""Sets of cuts by name: which cuts are on, and where their thresholds lie, as YAML with inheritance and strict keys.

    defaults:
      description: baseline
      thresholds: {lo_trkqual: 0.8}
      active: {good_trkqual: true}
    cutsets:
      loose: {description: any quality, active: {good_trkqual: false}}
      looser: {inherits: loose, thresholds: {lo_trkqual: 0.2}}

A cutset holds what differs from ``defaults``, or from the cutset that it ``inherits``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml
from pydantic import BaseModel, ConfigDict

from ..errors import UserError, closest

DEFAULTS, CUTSETS = "defaults", "cutsets"
#: Keys of a cutset; ``defaults`` inherits from nobody.
KEYS = ("description", "inherits", "thresholds", "active")

Level = Literal["event", "object"]
Location = tuple[str, ...]


class CutDeclaration(BaseModel):
    """A cut that an analysis knows.

    Args:
        name: unique among the cuts of the analysis.
        group: cuts that are switched together.
        level: whether it is on events or on their objects.
        description: what it requires, in words.
        thresholds: names of the numbers that it compares with.
        truth: whether it looks at generated particles, which data do not have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    group: str
    level: Level
    description: str
    thresholds: tuple[str, ...] = ()
    truth: bool = False


class Cutset(BaseModel):
    """Which cuts are on, and where every threshold lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    thresholds: Mapping[str, float]
    active: Mapping[str, bool]


class _Source:
    """The content of a file of cutsets that remembers its lines, and what cuts and thresholds there are."""

    def __init__(self, source: Path | Mapping[str, Any], cuts: Sequence[CutDeclaration]) -> None:
        self.name = str(source) if isinstance(source, Path) else "the cutsets"
        self.thresholds = list(dict.fromkeys(name for cut in cuts for name in cut.thresholds))
        self.cuts = [cut.name for cut in cuts]
        self._root: yaml.Node | None = None
        self.data: Any = source
        if isinstance(source, Path):
            try:
                text = source.read_text(encoding="utf-8")
                self._root = yaml.compose(text, yaml.SafeLoader)
                self.data = yaml.safe_load(text)
                self._refuse_duplicates(self._root)
            # A date that is none is a ValueError; an anchor inside itself recurses for ever.
            except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
                raise UserError(f"The cutsets in {source} cannot be read as YAML: {error}") from None

    def _refuse_duplicates(self, node: yaml.Node | None) -> None:
        """Refuse a mapping with a key twice, of which YAML would silently keep the last."""
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        first: dict[str, int] = {}
        for key, value in pairs:
            line = key.start_mark.line + 1
            if key.value in first:
                raise UserError(
                    f"{self.name}, line {line}: '{key.value}' is there twice, first in line {first[key.value]}; "
                    "leave one of them out."
                )
            first[str(key.value)] = line
            self._refuse_duplicates(value)

    def fail(self, message: str, *location: str) -> NoReturn:
        """Raise a UserError about the entry at ``location``, with its line where it is known."""
        node, line = self._root, None
        for part in location:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            found = next(((key, value) for key, value in pairs if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        place = self.name if line is None else f"{self.name}, line {line}"
        raise UserError(f"{place}: {message}")

    def mapping(self, value: Any, what: str, *location: str) -> Mapping[str, Any]:
        """Return ``value`` as a mapping with text keys; nothing (None) is an empty one."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.fail(f"{what} must be a mapping 'name: value'", *location)
        for key in value:
            if not isinstance(key, str):
                self.fail(f"{what} has the key {key!r}, which is no name", *location)
        return value


def read_cutsets(source: Path | Mapping[str, Any], cuts: Sequence[CutDeclaration]) -> dict[str, Cutset]:
    """Return name → cutset, ``defaults`` first.

    Args:
        source: YAML file, or its content.
        cuts: all cuts that a cutset may name; ``defaults`` gives each a state, and each threshold a value.

    Raises:
        UserError: the file cannot be read; an unknown key, cut, threshold or parent; a value of the wrong kind; what
            ``defaults`` leaves out; cutsets that inherit from each other. It names file, line, cutset and the
            closest valid name.
    """
    read = _Source(source, cuts)
    content = read.mapping(read.data, "the file")
    for key in content:
        if key not in (DEFAULTS, CUTSETS):
            read.fail(f"unknown key '{key}'.{closest(key, (DEFAULTS, CUTSETS))}", key)
    if DEFAULTS not in content:
        read.fail(f"there is no '{DEFAULTS}' with the thresholds and states that cutsets differ from")
    defaults = _own(read, DEFAULTS, content[DEFAULTS], (DEFAULTS,))
    _check_complete(read, defaults)
    blocks = read.mapping(content.get(CUTSETS), f"'{CUTSETS}'", CUTSETS)
    if DEFAULTS in blocks:
        read.fail(f"a cutset cannot be called '{DEFAULTS}'", CUTSETS, DEFAULTS)
    found = {DEFAULTS: defaults}
    for name in blocks:
        _resolve(read, name, blocks, found, ())
    return {name: found[name] for name in (DEFAULTS, *blocks)}


def _resolve(
    read: _Source, name: str, blocks: Mapping[str, Any], found: dict[str, Cutset], heirs: tuple[str, ...]
) -> Cutset:
    """Return a cutset on top of its parent, which is resolved first."""
    if name in found:
        return found[name]
    location = (CUTSETS, name)
    if name in heirs:
        read.fail(f"the cutsets {' → '.join((*heirs, name))} inherit from each other in a circle", *location)
    block = read.mapping(blocks[name], f"cutset '{name}'", *location)
    parent = block.get("inherits", DEFAULTS)
    if not isinstance(parent, str):
        read.fail(f"cutset '{name}': 'inherits' must be the name of one cutset, not {parent!r}", *location, "inherits")
    if parent != DEFAULTS and parent not in blocks:
        read.fail(f"cutset '{name}' inherits from '{parent}', which is not here.{closest(parent, (DEFAULTS, *blocks))}",
                  *location, "inherits")  # fmt: skip
    before = found[DEFAULTS] if parent == DEFAULTS else _resolve(read, parent, blocks, found, (*heirs, name))
    own = _own(read, name, block, location)
    found[name] = Cutset(
        name=name,
        description=own.description,
        thresholds={**before.thresholds, **own.thresholds},
        active={**before.active, **own.active},
    )
    return found[name]


def _own(read: _Source, name: str, value: Any, location: Location) -> Cutset:
    """Return what a block says itself, after checking every key and value."""
    block = read.mapping(value, f"cutset '{name}'", *location)
    keys = [key for key in KEYS if name != DEFAULTS or key != "inherits"]
    for key in block:
        if key not in keys:
            read.fail(f"cutset '{name}': unknown key '{key}'.{closest(key, keys)}", *location, key)
    description = block.get("description", "")
    if not isinstance(description, str):
        read.fail(f"cutset '{name}': the description must be text", *location, "description")
    thresholds = read.mapping(block.get("thresholds"), f"'thresholds' of cutset '{name}'", *location, "thresholds")
    active = read.mapping(block.get("active"), f"'active' of cutset '{name}'", *location, "active")
    for key, number in thresholds.items():
        _check_threshold(read, name, key, number, (*location, "thresholds", key))
    for key, state in active.items():
        _check_state(read, name, key, state, (*location, "active", key))
    return Cutset(
        name=name,
        description=description,
        thresholds={key: float(one) for key, one in thresholds.items()},
        active=active,
    )


def _check_threshold(read: _Source, cutset: str, key: str, value: Any, location: Location) -> None:
    if key not in read.thresholds:
        hint = " It is a cut: put it under 'active'." if key in read.cuts else closest(key, read.thresholds)
        read.fail(f"cutset '{cutset}': there is no threshold '{key}'.{hint}", *location)
    if not _is_number(value):
        read.fail(f"cutset '{cutset}': the threshold '{key}' must be a number, not {value!r}{_hint(value)}", *location)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _hint(value: Any) -> str:
    """Explain the trap of YAML 1.1, which takes ``1e4`` for text."""
    try:
        return f". Write {float(value)}, without quotes" if isinstance(value, str) else ""
    except ValueError:
        return ""


def _check_state(read: _Source, cutset: str, key: str, value: Any, location: Location) -> None:
    if key not in read.cuts:
        hint = " It is a threshold: put it under 'thresholds'." if key in read.thresholds else closest(key, read.cuts)
        read.fail(f"cutset '{cutset}': there is no cut '{key}'.{hint}", *location)
    if not isinstance(value, bool):
        read.fail(f"cutset '{cutset}': the cut '{key}' is either true or false, not {value!r}", *location)


def _check_complete(read: _Source, defaults: Cutset) -> None:
    for key, known, given in (
        ("thresholds", read.thresholds, defaults.thresholds),
        ("active", read.cuts, defaults.active),
    ):
        missing = [name for name in known if name not in given]
        if missing:
            read.fail(f"'{DEFAULTS}' leaves out {', '.join(missing)} of '{key}'", DEFAULTS, key)


def find_cutset(cutsets: Mapping[str, Cutset], name: str) -> Cutset:
    """Return the cutset ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in cutsets:
        raise UserError(f"There is no cutset '{name}'.{closest(name, cutsets)} There are: {', '.join(cutsets)}.")
    return cutsets[name]


def with_overrides(
    cutset: Cutset, *, thresholds: Mapping[str, float] | None = None, active: Mapping[str, bool] | None = None
) -> Cutset:
    """Return the cutset with other thresholds and states.

    Raises:
        UserError: it has no such threshold or cut, a threshold is no number, or a state not true or false.
    """
    thresholds, active = thresholds or {}, active or {}
    _check_known("threshold", thresholds, cutset.thresholds)
    _check_known("cut", active, cutset.active)
    for name, value in thresholds.items():
        if not _is_number(value):
            raise UserError(f"The threshold '{name}' must be a number, not {value!r}.")
    for name, state in active.items():
        if not isinstance(state, bool):
            raise UserError(f"The cut '{name}' is either true or false, not {state!r}.")
    numbers = {name: float(value) for name, value in thresholds.items()}
    return cutset.model_copy(
        update={"thresholds": {**cutset.thresholds, **numbers}, "active": {**cutset.active, **active}}
    )


def _check_known(what: str, given: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"There is no {what} '{name}'.{closest(name, known)} There are: {', '.join(known)}.")
