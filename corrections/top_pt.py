"""Reweighting of the top-quark pT in simulated tt̄: POWHEG+Pythia predicts too many tops of high pT.

CMS Top PAG, TWiki TopPtReweighting; an event has the weight √(SF(t) SF(t̄)), of the generated tops after radiation.

`theory`: ratio of NNLO QCD + NLO electroweak (M. Czakon et al., JHEP 10 (2017) 186) to POWHEG+Pythia at 13 TeV, up to
2 TeV; at 13.6 TeV times the ratio of the two energies, up to 1 TeV.
`data`: data over POWHEG+Pythia at 13 TeV (dilepton and lepton+jets, 2015–2016), exp(0.0615 − 0.0005 pT/GeV) up to
500 GeV. Not for measurements that tops are the signal of.
"""

from __future__ import annotations

from typing import Any, Literal

import awkward as ak
import numpy as np

from .weight_factor import Floats, WeightFactor, up_down

BRANCHES = ("GenPart_pt", "GenPart_pdgId", "GenPart_statusFlags")

Method = Literal["theory", "data"]

#: GeV; the scale factor is that of the edge above.
VALID_TO = {"theory": 2000.0, "data": 500.0}
EXTRAPOLATED_TO = 1000.0
TOP = 6
IS_LAST_COPY = 1 << 13


def top_pt_factor(particles: Any, *, method: Method = "theory", com_energy: float = 13.0) -> WeightFactor:
    """Return the factor with `top_ptUp/Down`, `[events]`.

    `particles` has the columns `pt` (GeV), `pdgId` and `statusFlags`, `[events, particles]`. Down is no reweighting, up
    has twice the effect, 2w − 1, so that the whole correction is the uncertainty on each side. Events without exactly
    one top and one antitop (last copies) have the factor 1 and count as `out_of_range`; tops beyond the range of the
    scale factor have that of its edge and count as `clamped`. `com_energy` in TeV.
    """
    top, top_found = _pt(particles, TOP)
    antitop, antitop_found = _pt(particles, -TOP)
    found = top_found & antitop_found
    product = scale_factor(top, method, com_energy) * scale_factor(antitop, method, com_energy)
    weight = np.where(found, np.sqrt(product), 1.0)
    beyond = [np.count_nonzero((pt > VALID_TO[method]) & found) for pt in (top, antitop)]
    return WeightFactor(
        weight,
        up_down("top_pt", 2 * weight - 1, np.ones(len(weight))),
        out_of_range=int(np.count_nonzero(~found)),
        clamped=int(sum(beyond)),
    )


def scale_factor(pt: Floats, method: Method = "theory", com_energy: float = 13.0) -> Floats:
    """Return the scale factor of a top of `pt`, GeV, of any shape; `com_energy` in TeV."""
    inside = np.minimum(pt, VALID_TO[method])
    if method == "data":
        return np.asarray(np.exp(0.0615 - 0.0005 * inside))
    factor = 0.103 * np.exp(-0.0118 * inside) - 0.000134 * inside + 0.973
    if com_energy > 13.0:
        factor = factor * (0.991 + 0.000075 * np.minimum(pt, EXTRAPOLATED_TO))
    return np.asarray(factor)


def _pt(particles: Any, pdg_id: int) -> tuple[Floats, Any]:
    """Return pT of the one last copy of a kind, 0 where there is not exactly one, and whether there is."""
    last = (particles["pdgId"] == pdg_id) & ((particles["statusFlags"] & IS_LAST_COPY) != 0)
    pt = particles["pt"][last]
    found = ak.to_numpy(ak.num(pt, axis=1)) == 1
    values = np.zeros(len(found))
    values[found] = ak.to_numpy(ak.flatten(pt[found], axis=1))
    return values, found
