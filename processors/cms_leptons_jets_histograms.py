"""The histograms of the analysis of a lepton and jets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..histograms.specification import Histogram
from .cms_factors import Leptons
from .cms_objects import CorrectedObjects

_OBJECTS = ("muons", "electrons", "jets")
_MET = (*_OBJECTS, "met")

HISTOGRAMS = (
    Histogram(name="n_jets", label="jets", bins=10, start=0, stop=10, depends_on=_OBJECTS),
    Histogram(name="n_tags", label="b-tagged jets", bins=6, start=0, stop=6, depends_on=_OBJECTS),
    Histogram(
        name="leading_jet_pt", label=r"leading jet $p_T$", unit="GeV", bins=40, start=30, stop=430, depends_on=_OBJECTS
    ),
    Histogram(name="ht", label=r"$H_T$ of the jets", unit="GeV", bins=40, start=100, stop=1100, depends_on=_OBJECTS),
    Histogram(name="lepton_pt", label=r"lepton $p_T$", unit="GeV", bins=40, start=20, stop=220, depends_on=_OBJECTS),
    Histogram(name="lepton_eta", label=r"lepton $\eta$", bins=50, start=-2.5, stop=2.5, depends_on=_OBJECTS),
    Histogram(name="met", label=r"$p_T^{miss}$", unit="GeV", bins=40, start=0, stop=200, depends_on=_MET),
    Histogram(
        name="transverse_mass",
        label=r"$m_T(\ell, p_T^{miss})$",
        unit="GeV",
        bins=40,
        start=0,
        stop=200,
        depends_on=_MET,
    ),
    Histogram(
        name="three_jet_mass",
        label=r"mass of the three jets of highest $p_T$ sum",
        unit="GeV",
        bins=40,
        start=50,
        stop=550,
        depends_on=_OBJECTS,
    ),
)


def observables(
    rows: np.ndarray,
    lepton: Leptons,
    good: np.ndarray,
    n_jets: np.ndarray,
    n_tags: np.ndarray,
    corrected: CorrectedObjects,
    variation: str,
) -> dict[str, np.ndarray]:
    """Return what is filled of the events at ``rows``, ``[rows]`` each; momenta in GeV.

    Args:
        rows: positions of the events.
        lepton: of these events.
        good: mask of all jets of the chunk, ``[jets]``.
        n_jets: ``[events]``.
        n_tags: ``[events]``.
        corrected: objects of the chunk.
        variation: of the momenta.
    """
    met = corrected.missing_momentum(variation)
    met_pt, met_phi = met.pt[rows], met.phi[rows]
    pt, mass = corrected.jet_pt(variation), corrected.jet_mass(variation)
    event = corrected.jets.event
    n_events = len(n_jets)
    leading = np.zeros(n_events)
    np.maximum.at(leading, event[good], pt[good])
    found: dict[str, Any] = {
        "n_jets": n_jets[rows],
        "n_tags": n_tags[rows],
        "leading_jet_pt": leading[rows],
        "ht": np.bincount(event[good], weights=pt[good], minlength=n_events)[rows],
        "lepton_pt": lepton.pt,
        "lepton_eta": lepton.eta,
        "met": met_pt,
        "transverse_mass": np.sqrt(2 * lepton.pt * met_pt * (1 - np.cos(lepton.phi - met_phi))),
        "three_jet_mass": _three_jet_mass(rows, good, pt, mass, corrected),
    }
    return found


def _three_jet_mass(
    rows: np.ndarray, good: np.ndarray, pt: np.ndarray, mass: np.ndarray, corrected: CorrectedObjects
) -> np.ndarray:
    """Return ``[rows]`` the mass of the three good jets whose summed momentum has the highest pt: the hadronic top.

    Zero for an event with fewer than three.
    """
    event = corrected.jets.event
    chosen = np.zeros(len(corrected.jets.counts), dtype=bool)
    chosen[rows] = True
    kept = np.flatnonzero(good & chosen[event])
    columns = [values[kept].astype(np.float64) for values in (pt, corrected.jets["eta"], corrected.jets["phi"], mass)]
    momenta = _momenta(*columns)
    counts = np.bincount(event[kept], minlength=len(corrected.jets.counts))[rows]
    starts = np.cumsum(counts) - counts
    best = np.zeros(len(rows))
    # Events with equally many jets have the same triplets: no jagged array is needed.
    for n in np.unique(counts[counts >= 3]):
        of_events = np.flatnonzero(counts == n)
        first, second, third = _triplets(int(n))
        jets = momenta[:, starts[of_events][:, np.newaxis] + np.arange(n)]
        sums = jets[:, :, first] + jets[:, :, second] + jets[:, :, third]
        px, py, pz, energy = sums
        highest = np.argmax(px**2 + py**2, axis=1)
        squared = energy**2 - px**2 - py**2 - pz**2
        best[of_events] = np.sqrt(np.maximum(squared[np.arange(len(of_events)), highest], 0.0))
    return best


def _triplets(n: int) -> tuple[np.ndarray, ...]:
    """Return the positions of the jets of all triplets of ``n`` jets."""
    one, two, three = np.meshgrid(*(np.arange(n),) * 3, indexing="ij")
    ordered = (one < two) & (two < three)
    return one[ordered], two[ordered], three[ordered]


def _momenta(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return ``[4, jets]`` px, py, pz, energy."""
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.stack([px, py, pz, np.sqrt(pt**2 + pz**2 + mass**2)])
