"""What an analysis needs of its input files: the branches of each component, declared before anything is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict

#: Which branches of a requirement must be in a file:
#: ``all`` of them; ``any`` one (a missing one is worth a warning); ``first known``: any one of a list that covers many
#: years, of which each file has some; ``together``: all, or none, which turns the component off; ``none``: each is used
#: where it is there.
Need = Literal["all", "any", "first known", "together", "none"]


class Requirement(BaseModel):
    """The branches that one component reads.

    Args:
        component: what needs them, in words for the user, such as ``muon selection``.
        branches: full names, as in the file.
        need: which of them must be there.
        advice: how to do without them, a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    component: str
    branches: tuple[str, ...]
    need: Need = "all"
    advice: str = ""

    def met(self, present: Collection[str]) -> bool:
        """Whether a file with the branches ``present`` can be processed."""
        there = sum(branch in present for branch in self.branches)
        if self.need == "all":
            return there == len(self.branches)
        if self.need == "together":
            return there in (0, len(self.branches))
        return self.need == "none" or there > 0
