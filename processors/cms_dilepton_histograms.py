"""The histograms of the dilepton analyses, and the regions that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..histograms.specification import Histogram
from ..selections.pairs import LeadingPair

#: Regions of two leptons of one flavour, and that of a muon and an electron.
SAME_FLAVOUR = ("z", "opposite_sign", "same_sign", "sideband")
ELECTRON_MUON = "electron_muon"

_LEPTONS = ("muons", "electrons")
_MET = (*_LEPTONS, "jets", "met")
_BINNING: dict[str, dict[str, Any]] = {
    "mass": {"unit": "GeV", "bins": 60, "start": 60, "stop": 120, "regions": ("z", "same_sign")},
    "mass_spectrum": {
        "unit": "GeV",
        "bins": 60,
        "start": 10,
        "stop": 250,
        "regions": ("opposite_sign", "sideband", ELECTRON_MUON),
    },
    "npvs": {"bins": 80, "start": 0, "stop": 80},
    "pt": {"unit": "GeV", "bins": 50, "start": 0, "stop": 200},
    "rapidity": {"bins": 48, "start": -2.4, "stop": 2.4},
    "leading_pt": {"unit": "GeV", "bins": 62, "start": 26, "stop": 150},
    "subleading_pt": {"unit": "GeV", "bins": 50, "start": 20, "stop": 120},
    "eta": {"bins": 48, "start": -2.4, "stop": 2.4},
    "phi": {"bins": 32, "start": -np.pi, "stop": np.pi},
    "met": {"unit": "GeV", "bins": 50, "start": 0, "stop": 150, "depends_on": _MET},
    "met_phi": {"bins": 32, "start": -np.pi, "stop": np.pi, "depends_on": _MET},
}


def specifications(lepton: str, symbol: str, regions: Sequence[str], *, met: bool) -> tuple[Histogram, ...]:
    """Return the histograms of pairs of a ``lepton`` (``muon``) with a LaTeX ``symbol``, in ``regions``."""
    pair = rf"{symbol}{symbol}" if ELECTRON_MUON not in regions else r"\ell\ell"
    labels = {
        "mass": rf"$m_{{{symbol}{symbol}}}$",
        "mass_spectrum": rf"$m_{{{pair}}}$",
        "npvs": "reconstructed vertices",
        "pt": rf"$p_T^{{{pair}}}$",
        "rapidity": rf"$y_{{{pair}}}$",
        "leading_pt": rf"leading {lepton} $p_T$",
        "subleading_pt": rf"subleading {lepton if ELECTRON_MUON not in regions else 'lepton'} $p_T$",
        "eta": rf"{lepton if ELECTRON_MUON not in regions else 'lepton'} $\eta$",
        "phi": rf"{lepton if ELECTRON_MUON not in regions else 'lepton'} $\phi$",
        "met": r"$p_T^{miss}$",
        "met_phi": r"$\phi(p_T^{miss})$",
    }
    found = []
    for name, label in labels.items():
        binning = {"depends_on": _LEPTONS, **_BINNING[name]}
        if "regions" in binning:
            binning["regions"] = tuple(one for one in binning["regions"] if one in regions)
        if met or not name.startswith("met"):
            found.append(Histogram(name=name, label=label, **binning))
    return tuple(found)


def observables(
    pair: LeadingPair, npvs: np.ndarray, met: tuple[np.ndarray, np.ndarray] | None, chosen: np.ndarray
) -> Mapping[str, Any]:
    """Return what is filled of the pairs that are ``chosen``.

    Args:
        pair: ``[pairs]``.
        npvs: ``[events]``.
        met: pt (GeV) and phi of the missing momentum, ``[events]``; None to leave it out.
        chosen: mask ``[pairs]``.
    """
    rows = pair.event[chosen]
    found: dict[str, Any] = {
        "mass": pair.mass[chosen],
        "mass_spectrum": pair.mass[chosen],
        "npvs": npvs[rows],
        "pt": pair.pt[chosen],
        "rapidity": pair.rapidity[chosen],
        "leading_pt": pair.leading_pt[chosen],
        "subleading_pt": pair.subleading_pt[chosen],
        "eta": np.stack([pair.leading_eta[chosen], pair.subleading_eta[chosen]], axis=1),
        "phi": np.stack([pair.leading_phi[chosen], pair.subleading_phi[chosen]], axis=1),
    }
    if met is not None:
        found |= {"met": met[0][rows], "met_phi": met[1][rows]}
    return found
