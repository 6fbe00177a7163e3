"""Identification of particle-flow jets (tight, tight with lepton veto), for every version of NanoAOD.

The one place that knows where an identification comes from:

===============================  =======================================================================
the file has                     then
===============================  =======================================================================
chMultiplicity, neMultiplicity   the criteria of the payload `jetid` are applied to the jet's composition
(v13 and later)
jetId, CHS jets (Run 2, up to    bits of jetId: 2 tight, 4 tight with lepton veto
v9)
jetId, PUPPI jets (Run 3 up to   as before for |eta| <= 2.7; beyond it, where the bits are wrong, tight also
v12)                             needs neHEF < 0.99 (|eta| <= 3.0) or neEmEF < 0.4; the lepton veto is
                                 muEF < 0.8 and chEmEF < 0.8 within |eta| <= 2.7
===============================  =======================================================================

Sources: https://twiki.cern.ch/twiki/bin/view/CMS/JetID13TeVUL and
https://twiki.cern.ch/twiki/bin/view/CMS/JetID13p6TeV#nanoAOD_Flags. All fractions are of the raw energy, and do not
change with a correction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np

from ..errors import UserError, closest
from .catalogue import CorrectionRecord
from .evaluation import Array, evaluate

WorkingPoint = Literal["tight", "tight_lepton_veto"]
_BITS: dict[str, int] = {"tight": 2, "tight_lepton_veto": 4}
_FRACTIONS = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")
_MULTIPLICITIES = ("chMultiplicity", "neMultiplicity")
#: Columns of Run 3 jets whose bits are mended; edges in |eta|.
_MENDED = ("eta", "jetId", "neHEF", "neEmEF", "muEF", "chEmEF")
_TRACKER_END, _ENDCAP_END = 2.7, 3.0
_LEPTON_VETO = ("muEF", "chEmEF")
#: All columns that may be read of the jets of Run 3, each where the file has it.
COLUMNS = tuple(dict.fromkeys((*_MENDED, *_FRACTIONS, *_MULTIPLICITIES)))


def columns(fields: Collection[str], *, chs: bool) -> tuple[str, ...]:
    """Return the columns of the jets that :func:`passes` reads, given those (`fields`) that the file has.

    `chs` says whether these are CHS jets (Run 2): a run reads no branch that an analysis does not use, so that the
    absence of another column proves nothing. Raises UserError if there is no way to identify jets with them.
    """
    if set(_MULTIPLICITIES) <= set(fields):
        return ("eta", *_FRACTIONS, *_MULTIPLICITIES)
    if "jetId" in fields:
        return ("jetId",) if chs else _MENDED
    raise UserError(
        "The jets have neither Jet_jetId nor Jet_chMultiplicity and Jet_neMultiplicity: they cannot be identified."
        f"{closest('jetId', fields)} Choose the identification 'none', or another file."
    )


def branches(fields: Collection[str], *, chs: bool) -> tuple[str, ...]:
    """Return the branches that :func:`passes` reads, given the columns of `Jet` that the file has."""
    return tuple(f"Jet_{name}" for name in columns(fields, chs=chs))


def passes(record: CorrectionRecord | None, jets: Any, working_point: WorkingPoint = "tight", *, chs: bool) -> Array:
    """Return the mask of the jets that pass `working_point`, in the structure of `jets` (`[events, jets]` or `[jets]`).

    `record` is `jet_id` of the catalogue; None where the file has `jetId` (NanoAOD up to v12), which does not need it.
    `chs`: the jets are CHS jets (Run 2).
    Raises UserError if the jets lack columns, or need a record that is not given.
    """
    if working_point not in _BITS:
        raise UserError(
            f"There is no jet identification '{working_point}'.{closest(working_point, _BITS)} Use one of "
            f"{', '.join(_BITS)}."
        )
    wanted = columns(jets.fields, chs=chs)
    if "jetId" in wanted and working_point == "tight":
        # A run leaves out what is not read: do not ask for it.
        wanted = tuple(name for name in wanted if name not in _LEPTON_VETO)
    if missing := [name for name in wanted if name not in jets.fields]:
        raise UserError(
            f"The jet identification needs the branch Jet_{missing[0]}, which the file does not have."
            f"{closest(missing[0], jets.fields)} Choose the identification 'none', or another file."
        )
    if "jetId" not in wanted:
        return _by_composition(record, jets, working_point)
    if len(wanted) == 1:
        return (jets["jetId"] & _BITS[working_point]) != 0
    return _mended(jets, working_point)


def _by_composition(record: CorrectionRecord | None, jets: Any, working_point: str) -> Array:
    if record is None:
        raise UserError(
            "Jets of NanoAOD v13 and later are identified with the correction 'jet_id', which is not applied. Add it, "
            "or choose the identification 'none'."
        )
    inputs = {name: jets[name] for name in ("eta", *_FRACTIONS, *_MULTIPLICITIES)}
    charged, neutral = (jets[name] for name in _MULTIPLICITIES)
    # Of 8 bits each: their sum may need more.
    inputs["multiplicity"] = charged * np.int64(1) + neutral
    return evaluate(record.path, record.keys[working_point], inputs, choices=record.fixed, default=0.0).values > 0.5


def _mended(jets: Any, working_point: str) -> Array:
    eta = np.abs(jets["eta"])
    tight = (jets["jetId"] & _BITS["tight"]) != 0
    central, forward = eta <= _TRACKER_END, eta > _ENDCAP_END
    endcap = ~central & ~forward & (jets["neHEF"] < 0.99)
    mask = tight & (central | endcap | (forward & (jets["neEmEF"] < 0.4)))
    if working_point == "tight":
        return mask
    return mask & (~central | ((jets["muEF"] < 0.8) & (jets["chEmEF"] < 0.8)))
