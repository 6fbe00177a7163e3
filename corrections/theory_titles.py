"""What the titles of NanoAOD's weight branches say: the order of the QCD scales, the set of parton densities."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import awkward as ak

Kind = Literal["hessian", "replicas"]
Point = tuple[float, float]

#: (muR, muF) in the order in which CMSSW sorts them.
SCALE_POINTS: tuple[Point, ...] = tuple((mu_r, mu_f) for mu_r in (0.5, 1.0, 2.0) for mu_f in (0.5, 1.0, 2.0))

_NUMBER = r'"?([0-9.]+(?:[eEdD][+-]?[0-9]+)?)'
_ENTRY = re.compile(r"\[(\d+)\] is ([^;\[]*)")
_MU_R = re.compile(rf"(?:mur|renscfact)={_NUMBER}", re.IGNORECASE)
_MU_F = re.compile(rf"(?:muf|facscfact)={_NUMBER}", re.IGNORECASE)
_LHA_IDS = re.compile(r"LHA IDs (\d+) - (\d+)")


class PdfSet(NamedTuple):
    """A set of parton densities: LHA ID of its nominal member, name, and kind of its members."""

    first: int
    name: str
    kind: Kind


#: The sets that NanoAOD keeps (CMSSW, PhysicsTools/NanoAOD/python/genWeightsTable_cfi.py); kinds: lhapdf.hepforge.org.
PDF_SETS = (
    PdfSet(306000, "NNPDF31_nnlo_hessian_pdfas", "hessian"),
    PdfSet(304400, "NNPDF31_nnlo_as_0118_hessian", "hessian"),
    PdfSet(325300, "NNPDF31_nnlo_as_0118_mc_hessian_pdfas", "hessian"),
    PdfSet(316200, "NNPDF31_nnlo_as_0118_mc", "replicas"),
    PdfSet(325500, "NNPDF31_nnlo_as_0118_nf_4_mc_hessian", "hessian"),
    PdfSet(320900, "NNPDF31_nnlo_as_0118_nf_4", "replicas"),
    PdfSet(260000, "NNPDF30_nlo_as_0118", "replicas"),
    PdfSet(262000, "NNPDF30_lo_as_0130", "replicas"),
    PdfSet(292000, "NNPDF30_nlo_nf_4_pdfas", "replicas"),
    PdfSet(292200, "NNPDF30_nlo_nf_5_pdfas", "replicas"),
    PdfSet(91400, "PDF4LHC15_nnlo_30_pdfas", "hessian"),
    PdfSet(90400, "PDF4LHC15_nlo_30_pdfas", "hessian"),
)


def title_of(array: Any) -> str:
    """Return the title of the branch that an awkward array was read from, as NanoEvents keeps it; else empty."""
    layout = array.layout if isinstance(array, ak.Array) else None
    while layout is not None:
        if layout.parameters.get("__doc__"):
            return str(layout.parameters["__doc__"])
        layout = getattr(layout, "content", None)
    return ""


def lha_ids(title: str) -> tuple[int, int] | None:
    """Return the first and last LHA ID that the title of `LHEPdfWeight` names, or None."""
    found = _LHA_IDS.search(title)
    return (int(found[1]), int(found[2])) if found else None


def pdf_set(first: int) -> PdfSet | None:
    """Return the set whose weights begin with the LHA ID `first`, its nominal member or the one after; or None."""
    return next((one for one in PDF_SETS if first in (one.first, one.first + 1)), None)


def scale_positions(title: str, length: int) -> dict[Point, int] | None:
    """Return (muR, muF) → position from the title of `LHEScaleWeight`.

    None if it does not name exactly the points that a list of `length` (8 or 9) has.
    """
    found: dict[Point, int] = {}
    for place, text in _ENTRY.findall(title):
        mu_r, mu_f = _MU_R.search(text), _MU_F.search(text)
        if mu_r and mu_f:
            found[_value(mu_r[1]), _value(mu_f[1])] = int(place)
    expected = {point for point in SCALE_POINTS if length == len(SCALE_POINTS) or point != (1.0, 1.0)}
    whole = set(found) == expected and sorted(found.values()) == list(range(length))
    return found if whole else None


def _value(text: str) -> float:
    return float(text.lower().replace("d", "e"))
