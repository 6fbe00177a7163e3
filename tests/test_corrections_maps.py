"""The names of variations in correction files."""

from __future__ import annotations

import pytest
from mucoffea.corrections.maps import Family, Shift, variation_family


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (("sf", "sfup", "sfdown"), Family("sf", (Shift("sfup", "sfdown"),))),
        (("central", "up", "down"), Family("central", (Shift("up", "down"),))),
        (("nominal", "up", "down"), Family("nominal", (Shift("up", "down"),))),
        (("nominal", "systup"), Family("nominal", ())),
        (
            ("nominal", "stat", "systdown", "systup"),
            Family("nominal", (Shift("systup", "systdown"), Shift("stat", "stat", True))),
        ),
        (("Tight", "Loose"), None),
        ((), None),
    ],
)
def test_a_family_is_recognised(choices: tuple[str, ...], expected: Family | None) -> None:
    assert variation_family(choices) == expected
