"""The analyses. Each is a module with one class; the table below is all there is to registering one."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError, closest

if TYPE_CHECKING:
    from .base import Analysis

#: Name on the command line → (module, class, what it does).
ANALYSES = {
    "cms_dimuon": ("cms_dimuon", "Dimuon", "Z → μμ: corrected muons, mass peak, control regions"),
    "cms_dielectron": ("cms_dielectron", "Dielectron", "Z → ee: corrected electrons, mass peak, control regions"),
    "cms_leptons_jets": ("cms_leptons_jets", "LeptonsJets", "one lepton, jets, missing momentum: top pairs, W + jets"),
    "cms_four_lepton": ("cms_four_lepton", "FourLepton", "4μ, 4e, 2e2μ: a Parquet row for each selected event"),
    "cms_btag_efficiency": ("cms_btag_efficiency", "BTagEfficiency", "tagged and all jets, for btag-efficiency"),
    "cms_trigger_efficiency": ("cms_trigger_efficiency", "TriggerEfficiency", "tag and probe, for trigger-efficiency"),
    "mu2e_cosmic": ("mu2e_cosmic", "CosmicBackground", "Mu2e cosmic rays: cutsets, CRV veto, survivors"),
    "mu2e_coincidences": ("mu2e_coincidences", "CoincidenceTable", "Mu2e: a Parquet row for each CRV coincidence"),
}


def find_analysis(name: str) -> type[Analysis]:
    """Return the class of the analysis ``name``: one of :data:`ANALYSES`, or ``package.module:Class`` of the user.

    The module of a user's analysis is looked for where Python looks, and in the current folder.

    Raises:
        UserError: there is none of that name, it cannot be imported, or it is no analysis.
    """
    if ":" in name:
        return _import_analysis(name)
    if name not in ANALYSES:
        raise UserError(
            f"There is no processor '{name}'.{closest(name, ANALYSES)} Known: {', '.join(ANALYSES)}. An analysis of "
            f"your own is named by module and class: package.module:Class."
        )
    module, class_name, _ = ANALYSES[name]
    analysis: type[Analysis] = getattr(import_module(f".{module}", __name__), class_name)
    return analysis


def _import_analysis(name: str) -> type[Analysis]:
    module_name, _, class_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise UserError(f"--processor {name}: write package.module:Class, as Python imports it.")
    here = str(Path.cwd())
    if here not in sys.path:
        # Last, so that no file here hides an installed package; worker processes take over the path.
        sys.path.append(here)
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever the code of the user raises
        raise UserError(
            f"--processor {name}: the module '{module_name}' cannot be imported: {type(error).__name__}: {error}. "
            f"It is looked for in the current folder, in PYTHONPATH and among the installed packages."
        ) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = [one for one, value in vars(module).items() if isinstance(value, type)]
        raise UserError(f"--processor {name}: {module_name} has no class '{class_name}'.{closest(class_name, classes)}")
    from .base import Analysis

    if not issubclass(found, Analysis):
        raise UserError(
            f"--processor {name}: {class_name} is no analysis; derive it from mucoffea.processors.base.Analysis."
        )
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise UserError(f"--processor {name}: {class_name} does not define {', '.join(missing)}.")
    return found
