"""The analyses. Each is a module with one class; the table below is all there is to registering one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import UserError, closest

if TYPE_CHECKING:
    from .base import Analysis

#: Name on the command line → (module, class, what it does).
ANALYSES = {
    "cms_dimuon": ("cms_dimuon", "Dimuon", "Z → μμ: corrected muons, mass peak, control regions"),
    "cms_four_lepton": ("cms_four_lepton", "FourLepton", "four muons: a Parquet row for each selected event"),
}


def find_analysis(name: str) -> type[Analysis]:
    """Return the class of the analysis ``name``.

    Raises:
        UserError: there is none of that name.
    """
    if name not in ANALYSES:
        raise UserError(f"There is no processor '{name}'.{closest(name, ANALYSES)} Known: {', '.join(ANALYSES)}.")
    module, class_name, _ = ANALYSES[name]
    analysis: type[Analysis] = getattr(import_module(f".{module}", __name__), class_name)
    return analysis
