"""Whether two results are the same: every product byte by byte, but for what speaks of the run itself."""

from __future__ import annotations

from pathlib import Path

from ..outputs.folder import PRODUCTS

#: Products that hold times, hosts and places of files, or are drawn from the others.
OF_THE_RUN = ("provenance.json", "plan.json", "ledger.json", "report.html", "plots")
#: Files that may hold times of their own: the same if they hold the same objects.
BY_CONTENT = ("histograms.root",)


def compare_products(first: Path, second: Path) -> dict[str, bool]:
    """Return the path of each product, relative to its result → whether both results have it, and the same."""
    names = [name for name in PRODUCTS if name not in OF_THE_RUN]
    files = sorted({file for folder in (first, second) for name in names for file in _files(folder, name)})
    return {file: _same(first / file, second / file) for file in files}


def _files(folder: Path, name: str) -> list[str]:
    path = folder / name
    found = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return [str(one.relative_to(folder)) for one in found]


def _same(first: Path, second: Path) -> bool:
    if not (first.is_file() and second.is_file()):
        return False
    if first.read_bytes() == second.read_bytes():
        return True
    return first.name in BY_CONTENT and _same_histograms(first, second)


def _same_histograms(first: Path, second: Path) -> bool:
    """Return whether two ROOT files hold equal histograms under the same names."""
    import numpy as np
    import uproot

    with uproot.open(first) as one, uproot.open(second) as two:
        names = one.keys(cycle=False)
        if names != two.keys(cycle=False) or one.classnames() != two.classnames():
            return False
        for name, kind in one.classnames(cycle=False).items():
            if not kind.startswith("TH"):
                continue
            pairs = [
                (histogram.values(flow=True), histogram.variances(flow=True), histogram.axis().edges(flow=True))
                for histogram in (one[name], two[name])
            ]
            if not all(np.array_equal(mine, its) for mine, its in zip(*pairs, strict=True)):
                return False
    return True
