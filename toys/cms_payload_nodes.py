"""Building blocks of correctionlib files (schema 2, https://cms-nanoaod.github.io/correctionlib) as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Node = dict[str, Any]


def inputs(**kinds: str) -> list[dict[str, str]]:
    """Return declared inputs: name → ``real``, ``int`` or ``string``."""
    return [{"name": name, "type": kind} for name, kind in kinds.items()]


def categories(name: str, values: Mapping[Any, Any]) -> Node:
    """Return a choice by the text or whole number ``name``."""
    content = [{"key": key, "value": value} for key, value in values.items()]
    return {"nodetype": "category", "input": name, "content": content}


def binning(name: str, edges: Sequence[float], flow: str, content: Callable[[int], Any]) -> Node:
    """Return bins of the number ``name``; ``content`` gives what is in each."""
    bins = [content(i) for i in range(len(edges) - 1)]
    return {"nodetype": "binning", "input": name, "edges": list(edges), "content": bins, "flow": flow}


def formula(expression: str, *variables: str) -> Node:
    """Return a TFormula of up to four ``variables`` (x, y, z, t)."""
    return {"nodetype": "formula", "expression": expression, "parser": "TFormula", "variables": list(variables)}


def correction(name: str, about: str, declared: list[dict[str, str]], output: str, data: Any) -> Node:
    """Return a correction with one real ``output``."""
    result = {"name": output, "type": "real"}
    return {"name": name, "description": about, "version": 1, "inputs": declared, "output": result, "data": data}
