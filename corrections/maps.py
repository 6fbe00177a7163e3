"""Names by which correction files call the nominal value and its shifts, recognised in one table."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Shift(NamedTuple):
    """The choices of a text input for one source of uncertainty; `absolute` if they are half-widths, not values."""

    up: str
    down: str
    absolute: bool = False


class Family(NamedTuple):
    """The choice that gives the nominal value, and the shifts that a correction offers beside it."""

    nominal: str
    shifts: tuple[Shift, ...]


# Order matters: the first nominal name that a correction offers decides.
FAMILIES = (
    Family("nominal", (Shift("systup", "systdown"), Shift("stat", "stat", True), Shift("syst", "syst", True))),
    Family("sf", (Shift("sfup", "sfdown"),)),
    Family("central", (Shift("up", "down"),)),
    Family("nominal", (Shift("up", "down"),)),
    Family("nom", (Shift("up", "down"),)),
)


def variation_family(choices: Collection[str]) -> Family | None:
    """The family of the choices of a text input, with the shifts that are offered; None if it holds no variations."""
    nominal = next((family.nominal for family in FAMILIES if family.nominal in choices), None)
    if nominal is None:
        return None
    known = (shift for family in FAMILIES if family.nominal == nominal for shift in family.shifts)
    return Family(nominal, tuple(shift for shift in known if shift.up in choices and shift.down in choices))
