"""What the checks before a run find: one line each, of which errors keep the run from starting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..errors import UserError

Level = Literal["error", "warning", "ok"]


class Finding(BaseModel):
    """One thing that was looked at.

    Args:
        level: ``error`` keeps a run from starting, ``warning`` is worth knowing, ``ok`` is in order.
        dataset: that it concerns; empty for the run as a whole.
        component: what was looked at, in words for the user.
        message: what was found, and how to mend it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    dataset: str = ""
    component: str
    message: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.dataset, self.component) if part)
        return f"{where}: {self.message}"


@contextmanager
def noted(findings: list[Finding], component: str, level: Level = "error", dataset: str = "") -> Iterator[None]:
    """Note a user's error of the block as a finding, and go on after it."""
    try:
        yield
    except UserError as error:
        findings.append(Finding(level=level, dataset=dataset, component=component, message=str(error)))
