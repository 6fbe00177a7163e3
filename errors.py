"""The error that a user's mistake raises: one paragraph that says what, where and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend. The command line prints the message alone and ends with exit code 1."""


class Interrupted(UserError):
    """The run was stopped from outside and can go on. The command line ends with exit code 130."""


def closest(name: str, valid: Iterable[str], *, n: int = 3) -> str:
    """Return `` Did you mean 'x' or 'y'?`` for the names nearest to ``name``, or an empty string."""
    names = sorted(set(valid))
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=n, cutoff=0.6)
    if not near:
        return ""
    return " Did you mean " + " or ".join(f"'{lowered[key]}'" for key in near) + "?"
