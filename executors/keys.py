"""Content keys: the same key means the same result, so a part of an interrupted run can be taken over.

The key of a work item is a SHA-256 over the source of the analysis and of every module that it imports, unless that is
an installed package, its parameters and correction files, the versions of the packages that do the physics, the
identity of the input file, and the range of entries.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = __name__.split(".", 1)[0]
#: Packages of which a new version may change a result.
PHYSICS_PACKAGES = ("awkward", "coffea", "correctionlib", "hist", "boost-histogram", "numpy", "uproot", "vector")

#: Folders of installed packages, whose versions stand for their content.
INSTALLED = frozenset({"site-packages", "dist-packages"})


def digest(content: Any) -> str:
    """Return the SHA-256 of a value that JSON can hold, in canonical form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def run_key(processor: Any, settings: Mapping[str, Any]) -> str:
    """Return what all items of a run share: source, settings, versions.

    Args:
        processor: the analysis; the module of its class is where the sources start.
        settings: parameters, correction files with their hashes, and whatever else the result depends on.
    """
    kind = type(processor)
    analysis = f"{kind.__module__}:{kind.__qualname__}"
    return digest({"analysis": analysis, "code": code_key(processor), "settings": settings})


def code_key(processor: Any) -> str:
    """Return what a worker must have in common with the client: the source of the analysis, and package versions."""
    versions = {name: version(name) for name in PHYSICS_PACKAGES}
    return digest({"sources": source_digests(type(processor).__module__), "versions": versions})


def source_digests(module: str) -> dict[str, str]:
    """Return module → SHA-256 of its code, for ``module`` and what it imports, and so on.

    Followed are the modules of this package, those of the package of ``module``, and all others that are not installed
    (an analysis and its helpers in a folder of the user). The digest is that of the syntax tree: comments and the
    layout of lines do not count.
    """
    found: dict[str, str] = {}
    own = module.partition(".")[0]
    waiting = [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if not name or name in found or not (top in (PACKAGE, own) or _is_loose(top)):
            continue
        path = _source(name)
        if path is not None:
            tree = ast.parse(path.read_bytes())
            found[name] = hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()
            waiting += _imports(tree, name, path)
            # The packages that a module lies in are run before it.
            waiting.append(name.rpartition(".")[0])
    return found


@cache
def _is_loose(top: str) -> bool:
    """Return whether the package or module ``top`` is neither of Python nor installed: code of the user."""
    if top in sys.stdlib_module_names:
        return False
    spec = importlib.util.find_spec(top)
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any(places) and not any(set(Path(place).parts) & INSTALLED for place in places)


def _source(module: str) -> Path | None:
    """Return the source file of a module, or None for a name that is no module (an imported function, say)."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _imports(tree: ast.Module, module: str, path: Path) -> Iterator[str]:
    """Yield the absolute names that a module imports: modules, and names that may be modules."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
