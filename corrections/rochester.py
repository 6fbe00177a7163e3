"""Rochester corrections of the muon momentum of Run 2: scale of data and simulation, and resolution of simulation.

Method: A. Bodek et al., Eur. Phys. J. C 72 (2012) 2194; tables RoccoR of the CMS muon POG (twiki RochcorMuon), read by
coffea. Data: scale. Simulation: scale, then the resolution of data: with a matched generator muon the difference to it
is stretched (`kSpreadMC`), without one a random number of the resolution model is added (`kSmearMC`).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import awkward as ak
import numpy as np
from coffea.lookup_tools.rochester_lookup import rochester_lookup
from coffea.lookup_tools.txt_converters import convert_rochester_file

from ..errors import UserError
from .evaluation import Floats

#: What coffea's reader raises at another file: it asserts, and trips over lines that are not there.
_UNREADABLE = (OSError, EOFError, ValueError, LookupError, NameError, AssertionError)


class Muons(NamedTuple):
    """Flat columns `[muons]`, float64; pt in GeV. `gen_pt` is NaN without a matched generator muon."""

    pt: Floats
    eta: Floats
    phi: Floats
    charge: Floats
    n_layers: Floats
    gen_pt: Floats


def scale_factor(path: Path, muons: Muons, *, is_data: bool, random: Floats) -> Floats:
    """Return the factor on pt of each muon, `[muons]`.

    `random` are uniform numbers in (0, 1), `[muons]`, for the muons of simulation without generator muon. Raises
    UserError if the table cannot be read.
    """
    return _of_kind(path, muons, is_data=is_data, random=random, error=False)


def scale_error(path: Path, muons: Muons, *, is_data: bool, random: Floats) -> Floats:
    """Return the total uncertainty of `scale_factor`, `[muons]`: statistical replicas and systematic sets in
    quadrature. It evaluates some hundred tables: about a second, whatever the number of muons.
    """
    return _of_kind(path, muons, is_data=is_data, random=random, error=True)


def _of_kind(path: Path, muons: Muons, *, is_data: bool, random: Floats, error: bool) -> Floats:
    table = _table(path)
    found = np.ones(len(muons.pt)) if not error else np.zeros(len(muons.pt))
    matched = np.isfinite(muons.gen_pt) & (muons.gen_pt > 0)
    groups = (
        {"kScaleDT": (np.ones(len(muons.pt), bool), ())}
        if is_data
        else {"kSpreadMC": (matched, (muons.gen_pt,)), "kSmearMC": (~matched, (muons.n_layers, random))}
    )
    for name, (chosen, more) in groups.items():
        if chosen.any():
            columns = (muons.charge, muons.pt, muons.eta, muons.phi, *more)
            # The lookup wants one list of muons an event: here, all in one.
            jagged = [ak.unflatten(column[chosen], [int(chosen.sum())]) for column in columns]
            function = getattr(table, f"{name}error" if error else name)
            found[chosen] = ak.to_numpy(ak.flatten(function(*jagged)))
    return found


def _table(path: Path) -> rochester_lookup:
    try:
        status = Path(path).stat()
        return _load(str(path), status.st_mtime_ns, status.st_size)
    except _UNREADABLE as error:
        raise UserError(
            f"The Rochester table {path} cannot be read ({type(error).__name__}: {error}). Copy it again, or leave the "
            "correction muon_momentum out."
        ) from error


@lru_cache(maxsize=8)
def _load(path: str, mtime_ns: int, size: int) -> rochester_lookup:  # noqa: ARG001 (time and size belong to the key)
    return rochester_lookup(convert_rochester_file(path, loaduncs=True))
