"""What is in a correction: inputs, bins, keys of categories and limits, read from the text of its file.

The evaluator of correctionlib hides all of it, so the schema is walked:
https://cms-nanoaod.github.io/correctionlib/schemav2.html
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from . import loading


class Axis(NamedTuple):
    """One input of a correction.

    `kind` is "real", "int" or "string". `edges` are those of all branches together, where bins in |x| stand on
    both sides of zero; empty where the correction has no bins in it (a formula, or categories). `choices` are the
    keys of its categories, `default` whether other keys have a value, too. `flows` say what happens beyond the
    bins: "error", "clamp", "wrap" or "default". `formula`: whether a formula uses the input. `transformed`: bins
    in a quantity that is computed from the input are left out of `edges`.
    """

    name: str
    kind: str
    description: str = ""
    edges: tuple[float, ...] = ()
    choices: tuple[str | int, ...] = ()
    default: bool = False
    flows: tuple[str, ...] = ()
    formula: bool = False
    transformed: bool = False


class Content(NamedTuple):
    """A correction as its file has it: `parts` are the corrections that a compound one applies, in order."""

    key: str
    version: int
    description: str
    output: str
    axes: tuple[Axis, ...]
    parts: tuple[str, ...] = ()

    def axis(self, name: str) -> Axis | None:
        """Return the input of that name; None if there is none."""
        return next((one for one in self.axes if one.name == name), None)


def content(path: Path, key: str) -> Content:
    """Return what the correction `key` of the file at `path` is made of.

    Raises UserError if the file is missing or not correctionlib, or has no such key.
    """
    version = int(loading.correction(path, key).version)  # says what is wrong with the file or the key
    schema = _schema_of(path)
    if key in schema.corrections:
        entry = schema.corrections[key]
        axes = _axes([entry], entry["inputs"], set())
        return Content(key, version, entry.get("description") or "", entry["output"]["name"], axes)
    entry = schema.compounds[key]
    stack = [schema.corrections[part] for part in entry["stack"]]
    axes = _axes(stack, entry["inputs"], set(entry["inputs_update"]))
    return Content(key, version, entry.get("description") or "", entry["output"]["name"], axes, tuple(entry["stack"]))


def description(path: Path) -> str:
    """Return the description of the whole file; empty if it has none."""
    loading.keys(path)
    return _schema_of(path).description


def definition(path: Path, key: str) -> Any:
    """Return what the value of a correction follows from, without its name and texts, to be compared.

    Two corrections with the same definition have the same values.
    """
    loading.correction(path, key)
    schema = _schema_of(path)
    if key in schema.corrections:
        return _bare(schema.corrections[key])
    entry = schema.compounds[key]
    rules = {name: entry[name] for name in ("inputs_update", "input_op", "output_op")}
    names = [one["name"] for one in entry["inputs"]]
    return {**rules, "inputs": names, "stack": [_bare(schema.corrections[part]) for part in entry["stack"]]}


class _Schema(NamedTuple):
    description: str
    corrections: dict[str, Any]
    compounds: dict[str, Any]


def _schema_of(path: Path) -> _Schema:
    status = path.stat()
    return _read(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: str, mtime_ns: int, size: int) -> _Schema:  # noqa: ARG001 (time and size belong to the cache key)
    data = Path(path).read_bytes()
    tree = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    corrections = {one["name"]: one for one in tree["corrections"]}
    compounds = {one["name"]: one for one in tree.get("compound_corrections") or ()}
    return _Schema(tree.get("description") or "", corrections, compounds)


def _bare(entry: Any) -> Any:
    inputs = [(one["name"], one["type"]) for one in entry["inputs"]]
    return {"inputs": inputs, "data": entry["data"], "generic": entry.get("generic_formulas")}


class _Met(NamedTuple):
    """What was met of one input at a node of the tree."""

    name: str
    edges: tuple[float, ...] = ()
    choices: tuple[str | int, ...] = ()
    flow: str = ""
    default: bool = False
    formula: bool = False
    transformed: bool = False


def _axes(entries: list[Any], inputs: list[Any], moving: set[str]) -> tuple[Axis, ...]:
    """Return the inputs of all entries together; the edges of inputs that a stack changes on the way are kept."""
    met: dict[str, list[_Met]] = {one["name"]: [] for one in inputs}
    for entry in entries:
        for one in set(_walk(entry["data"], {}, entry.get("generic_formulas") or [])):
            met.setdefault(one.name, []).append(one)
    return tuple(_axis(one, met[one["name"]], one["name"] in moving) for one in inputs)


def _axis(declared: Any, met: list[_Met], moving: bool) -> Axis:
    edges = sorted({edge for one in met for edge in one.edges})
    return Axis(
        name=declared["name"],
        kind=declared["type"],
        description=declared.get("description") or "",
        edges=tuple(edges),
        choices=tuple(dict.fromkeys(choice for one in sorted(met, key=str) for choice in one.choices)),
        default=any(one.default for one in met),
        flows=tuple(sorted({one.flow for one in met if one.flow})),
        formula=any(one.formula for one in met),
        transformed=moving or any(one.transformed for one in met),
    )


def _walk(node: Any, replaced: dict[str, bool], generic: list[Any]) -> Iterator[_Met]:
    """Walk a tree of content; `replaced` says which inputs stand for another value, True for |x|."""
    if not isinstance(node, dict):
        return
    kind = node.get("nodetype")
    if kind in ("binning", "multibinning"):
        names, edges = ([node["input"]], [node["edges"]]) if kind == "binning" else (node["inputs"], node["edges"])
        flow = node["flow"] if isinstance(node["flow"], str) else "default"
        for name, one in zip(names, edges, strict=True):
            yield _binned(name, _edges(one), flow, replaced.get(name))
        for child in (*node["content"], node["flow"]):
            yield from _walk(child, replaced, generic)
    elif kind == "category":
        has_default = node.get("default") is not None
        keys = tuple(item["key"] for item in node["content"])
        yield _Met(node["input"], choices=keys, default=has_default)
        for child in (*(item["value"] for item in node["content"]), node.get("default")):
            yield from _walk(child, replaced, generic)
    elif kind == "transform":
        is_absolute = loading._is_absolute(node["rule"], node["input"]) and replaced.get(node["input"]) is not False
        if not is_absolute:
            yield from _walk(node["rule"], replaced, generic)
        yield from _walk(node["content"], {**replaced, node["input"]: is_absolute}, generic)
    elif kind in ("formula", "formularef"):
        formula = node if kind == "formula" else generic[node["index"]]
        yield from (_Met(name, formula=True) for name in formula["variables"])
    elif kind == "hashprng":
        yield from (_Met(name, formula=True) for name in node["inputs"])


def _edges(edges: Any) -> tuple[float, ...]:
    if isinstance(edges, dict):  # uniform binning
        step = (edges["high"] - edges["low"]) / edges["n"]
        return (*(edges["low"] + step * place for place in range(edges["n"])), float(edges["high"]))
    return tuple(float(edge) for edge in edges)


def _binned(name: str, edges: tuple[float, ...], flow: str, absolute: bool | None) -> _Met:
    if absolute is None:
        return _Met(name, edges=edges, flow=flow)
    if not absolute:
        return _Met(name, flow=flow, transformed=True)
    positive = [edge for edge in edges if edge > 0]
    return _Met(name, edges=(*(-edge for edge in reversed(positive)), *positive), flow=flow)


def finite(edges: Sequence[float]) -> tuple[float, ...]:
    """Return the edges with an infinite outer one replaced: one bin of the width of its neighbour further out."""
    inner = [edge for edge in edges if math.isfinite(edge)]
    if not inner:
        return ()
    first, last = (inner[1] - inner[0], inner[-1] - inner[-2]) if len(inner) > 1 else (1.0, 1.0)
    low = [inner[0] - first] if edges[0] == -math.inf else []
    high = [inner[-1] + last] if edges[-1] == math.inf else []
    return (*low, *inner, *high)
