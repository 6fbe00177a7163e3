"""Correctionlib files: loaded once a process, with the range of input that each correction is made for.

Processors hold paths, never `CorrectionSet` objects: those pickle as the whole text of their file (14 MB for
jet energy corrections). The cache here is keyed by path, time and size, so that a file written anew is read
anew. Schema: https://cms-nanoaod.github.io/correctionlib/schemav2.html
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import correctionlib.highlevel
import numpy as np

from ..errors import UserError, closest

Range = tuple[float, float]
_UNREADABLE = (OSError, EOFError, zlib.error, RuntimeError, ValueError, KeyError, TypeError, IndexError)
_ABSOLUTE = re.compile(r"\s*(?:abs|fabs)\(\s*([a-z])\s*\)\s*")


class Domain(NamedTuple):
    """What a correction accepts. Ranges are half open, `low <= x < high`, as in correctionlib.

    `valid`: beyond it the file declares an error. `tabulated`: where the file has bins; between the two it
    clamps or has a default. `choices`: the keys of each category input that occur in every branch or in any
    of them.
    """

    valid: dict[str, Range]
    tabulated: dict[str, Range]
    choices: dict[str, tuple[str | int, ...]]


class _Compound:
    """A compound correction, with the attributes of a correction."""

    def __init__(self, compound: Any, description: str, versions: Iterable[int]) -> None:
        self.name = compound.name
        self.description = description
        self.inputs = compound.inputs
        self.evaluate = compound.evaluate
        self.version = max(versions)


class _File(NamedTuple):
    corrections: correctionlib.highlevel.CorrectionSet
    compounds: dict[str, _Compound]
    domains: dict[str, Domain]
    trees: dict[str, Any]
    """Of the corrections with text inputs: their range depends on what is chosen."""


def correction(path: Path, key: str) -> correctionlib.highlevel.Correction:
    """Return the correction `key` of the correctionlib file at `path` (`.json` or `.json.gz`), loaded once a
    process; a compound one, too (its version is the highest of its parts).

    Raises UserError if the file is missing, unreadable or not correctionlib (the file is named), or has no
    such key.
    """
    _check_key(path, key)
    found = _file(path)
    return found.compounds[key] if key in found.compounds else found.corrections[key]


def keys(path: Path) -> tuple[str, ...]:
    """Return the names of the corrections in the file at `path`, compound ones too, sorted."""
    found = _file(path)
    return tuple(sorted((*found.corrections, *found.compounds)))


def domain(path: Path, key: str, choices: Mapping[str, str] | None = None) -> Domain:
    """Return the ranges and category keys that the correction `key` of the file at `path` accepts.

    With `choices` of text inputs, those of the branch that they choose: the ranges of working points differ.
    """
    found = _file(path)
    _check_key(path, key)
    if not choices or key not in found.trees:
        return found.domains[key]
    status = Path(path).stat()
    return _chosen_domain(str(path), status.st_mtime_ns, status.st_size, key, tuple(sorted(choices.items())))


@lru_cache(maxsize=1024)
def _chosen_domain(path: str, mtime_ns: int, size: int, key: str, choices: tuple[tuple[str, str], ...]) -> Domain:
    return _domain_of(_load(path, mtime_ns, size).trees[key], dict(choices))


def valid_range(path: Path, key: str) -> dict[str, Range]:
    """Return input name -> (low, high) with low <= x < high, outside which the correction has no value.

    Taken from the bins with flow "error", through transforms |x|. Inputs that the file clamps are unbounded;
    where branches differ, the range is the part that all of them share.
    """
    return domain(path, key).valid


def _file(path: Path) -> _File:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise UserError(
            f"The correction file {path} cannot be read ({error.strerror}). Check the path, or the folders "
            "in "
            "MUCOFFEA_CORRECTIONS."
        ) from error
    return _load(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _load(path: str, mtime_ns: int, size: int) -> _File:  # noqa: ARG001 (time and size belong to the cache key)
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode()
        corrections = correctionlib.highlevel.CorrectionSet.from_string(text)
        # The C++ evaluator hides its bins: Python reads the same text, once, and keeps the ranges alone.
        tree = json.loads(text)
        domains = {entry["name"]: _domain_of(entry["data"]) for entry in tree["corrections"]}
        compounds = {}
        for entry in tree.get("compound_corrections") or ():
            name, stack = entry["name"], entry["stack"]
            versions = [corrections[part].version for part in stack]
            compounds[name] = _Compound(corrections.compound[name], entry.get("description") or "", versions)
            domains[name] = _shared([domains[part] for part in stack], entry["inputs_update"])
    except _UNREADABLE as error:
        raise UserError(
            f"The correction file {path} is not a readable correctionlib file "
            f"({type(error).__name__}: {error}). Copy it again; `correction validate --version 2 FILE` shows "
            "what is wrong with it."
        ) from error
    texts = {entry["name"] for entry in tree["corrections"] if any(x["type"] == "string" for x in entry["inputs"])}
    trees = {entry["name"]: entry["data"] for entry in tree["corrections"] if entry["name"] in texts}
    return _File(corrections, compounds, domains, trees)


def _shared(domains: Iterable[Domain], updated: Iterable[str]) -> Domain:
    """Return the domain of a stack: the ranges that its parts share, but for inputs that it updates on the way."""
    valid: dict[str, Range] = {}
    tabulated: dict[str, Range] = {}
    choices: dict[str, tuple[str | int, ...]] = {}
    moving = set(updated)
    for domain in domains:
        for ranges, more in ((valid, domain.valid), (tabulated, domain.tabulated)):
            for name, (low, high) in more.items():
                if name not in moving:
                    known = ranges.get(name, (-math.inf, math.inf))
                    ranges[name] = (max(low, known[0]), min(high, known[1]))
        for name, keys in domain.choices.items():
            choices[name] = tuple(dict.fromkeys((*choices.get(name, ()), *keys)))
    return Domain(valid, tabulated, choices)


def _check_key(path: Path, key: str) -> None:
    names = keys(path)
    if key not in names:
        raise UserError(
            f"The correction file {path} has no correction '{key}'.{closest(key, names)} It has: "
            f"{', '.join(sorted(names))}."
        )


class _Limit(NamedTuple):
    """One binned axis, or one category, met in the tree."""

    name: str
    tabulated: Range | None
    raises: bool
    keys: tuple[str | int, ...]


def _domain_of(node: Any, chosen: Mapping[str, str] | None = None) -> Domain:
    valid: dict[str, Range] = {}
    tabulated: dict[str, Range] = {}
    choices: dict[str, dict[str | int, None]] = {}
    for limit in set(_limits(node, {}, chosen or {})):
        if limit.tabulated is None:
            choices.setdefault(limit.name, {}).update(dict.fromkeys(limit.keys))
            continue
        for ranges in (tabulated, valid) if limit.raises else (tabulated,):
            low, high = ranges.get(limit.name, (-math.inf, math.inf))
            ranges[limit.name] = (max(low, limit.tabulated[0]), min(high, limit.tabulated[1]))
    return Domain(valid, tabulated, {name: tuple(found) for name, found in choices.items()})


def _limits(node: Any, absolute: dict[str, bool], chosen: Mapping[str, str]) -> Iterator[_Limit]:
    """Walk a content tree, where a category is `chosen` down that branch alone; `absolute` says which inputs were
    replaced, True by |x|, False by another.
    """
    if not isinstance(node, dict):
        return
    kind = node.get("nodetype")
    if kind in ("binning", "multibinning"):
        flow = node["flow"]
        axes = (
            [(node["input"], node["edges"])] if kind == "binning" else zip(node["inputs"], node["edges"], strict=True)
        )
        for name, edges in axes:
            limit = _axis_range(edges, absolute.get(name))
            if limit is not None:
                yield _Limit(name, limit, flow == "error", ())
        for child in (*node["content"], flow):
            yield from _limits(child, absolute, chosen)
    elif kind == "category":
        wanted = chosen.get(node["input"])
        matching = [item for item in node["content"] if item["key"] == wanted]
        if matching:
            yield from _limits(matching[0]["value"], absolute, chosen)
            return
        if node.get("default") is None:
            yield _Limit(node["input"], None, True, tuple(item["key"] for item in node["content"]))
        for item in node["content"]:
            yield from _limits(item["value"], absolute, chosen)
        yield from _limits(node.get("default"), absolute, chosen)
    elif kind == "transform":
        is_absolute = _is_absolute(node["rule"], node["input"]) and absolute.get(node["input"]) is not False
        yield from _limits(node["rule"], absolute, chosen)
        yield from _limits(node["content"], {**absolute, node["input"]: is_absolute}, chosen)


def _is_absolute(rule: Any, name: str) -> bool:
    return (
        isinstance(rule, dict)
        and rule.get("nodetype") == "formula"
        and rule["variables"] == [name]
        and _ABSOLUTE.fullmatch(rule["expression"]) is not None
    )


def _axis_range(edges: Any, absolute: bool | None) -> Range | None:
    """Return the range of x from bins in x (`absolute` None) or |x| (True); None if unknown (False)."""
    if isinstance(edges, dict):  # uniform binning: n, low, high
        low, high = float(edges["low"]), float(edges["high"])
    else:
        low, high = float(edges[0]), float(edges[-1])
    if absolute is None:
        return low, high
    if not absolute:
        return None
    # |x| < high leaves -high itself out. A hole |x| < low cannot be said with one range: keep the positive
    # side.
    return (float(np.nextafter(-high, math.inf)), high) if low <= 0 else (low, high)
