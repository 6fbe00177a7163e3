"""The luminosity sections that a file was made from: CMS NanoAOD lists them in the tree ``LuminosityBlocks``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..luminosity_sections import packed, to_ranges
from .soundness import check_tree

TREE = "LuminosityBlocks"
BRANCHES = ("run", "luminosityBlock")


def recorded_sections(file: Any) -> dict[str, list[list[int]]] | None:
    """Return run → ranges of sections of an open file, those without any event included; None where it does not say.

    Skims that were not made with the CMS tools often lack the tree.

    Raises:
        ValueError: the description of the tree is damaged.
    """
    if TREE not in file.keys(recursive=False, cycle=False):
        return None
    blocks = file[TREE]
    check_tree(blocks, file.file.source.num_bytes)
    if not set(BRANCHES) <= set(blocks.keys(recursive=False)):
        return None
    run, section = (blocks[name].array(library="np") for name in BRANCHES)
    return to_ranges(np.unique(packed(run, section)))
