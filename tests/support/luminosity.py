"""Files of brilcalc, as tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_csv(path: Path, luminosities: Mapping[tuple[int, int], float], unit: str = "/ub") -> Path:
    """Write (run, section) → recorded luminosity in the form of ``brilcalc lumi --byls --output-style csv``."""
    lines = [
        "#Data tag : 19v2 , Norm tag: None",
        f"#run:fill,ls,time,beamstatus,E(GeV),delivered({unit}),recorded({unit}),avgpu,source",
        *(
            f"{run}:5839,{section}:{section},06/16/17 20:55:44,STABLE BEAMS,6500,{2 * value!r},{value!r},40.3,HFET"
            for (run, section), value in luminosities.items()
        ),
        "#Summary:",
        f"#nfill,nrun,nls,ncms,totdelivered({unit}),totrecorded({unit})",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
