"""``python main.py toy mu2e_cosmic`` and ``mu2e_ce``: toy EventNtuple files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError, closest
from .toy import MU2E_SAMPLES, SEE, check_free, wrong_option

if TYPE_CHECKING:
    from ..toys.mu2e_eventntuple import ToySpec

#: Option of the command line → field of the specification, where they differ.
_FIELDS = {"as_data": "data", "ntuple_version": "version"}


def make(given: Mapping[str, Any], folder: Path, *, overwrite: bool) -> int:
    """Generate a sample below ``folder`` and print the truth behind it; return the exit code.

    Raises:
        UserError: an option that the generator does not take, or a folder that holds another toy.
    """
    from ..toys.mu2e_eventntuple import described, generate

    spec = _spec(given)
    target = folder / f"mu2e_{spec.sample}"
    check_free(described(spec), target, overwrite=overwrite)
    _show(spec, generate(spec, target))
    return 0


def _spec(given: Mapping[str, Any]) -> ToySpec:
    from pydantic import ValidationError

    from ..toys.mu2e_eventntuple import ToySpec

    name = given["sample"]
    if name not in MU2E_SAMPLES:
        raise UserError(
            f"SAMPLE is {name}.{closest(name, MU2E_SAMPLES)} Of Mu2e there are {', '.join(MU2E_SAMPLES)}. {SEE}"
        )
    values = {_FIELDS.get(option, option): value for option, value in given.items()}
    values["sample"] = name.removeprefix("mu2e_")
    if values.pop("off_spill", False):
        values["on_spill"] = False
    try:
        return ToySpec(**values)
    except ValidationError as error:
        first = error.errors()[0]
    if first["type"] == "missing":
        raise UserError(f"The toy {name} takes --{first['loc'][0]}. {SEE}")
    if not first["loc"]:
        text = str(first["ctx"]["error"])
        text = text.replace("'mix: true'", "--mix").replace("'on_spill: false'", "--off-spill")
        raise UserError(f"{text[0].upper()}{text[1:]}. {SEE}")
    options = {field: option for option, field in _FIELDS.items()}
    field = str(first["loc"][0])
    raise wrong_option("--" + options.get(field, field).replace("_", "-"), first)


def _show(spec: ToySpec, files: Sequence[Path]) -> None:
    """Print the files and the truth behind them."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for path in files:
        console.print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", markup=False)
    generated = f"{spec.generated_events:,} generated" + (f" in {spec.livetime:,g} s" if spec.livetime else "")
    console.print(f"truth: {spec.events:,} events, of {generated}")
    if spec.sample == "cosmic":
        console.print(f"truth: the veto misses {spec.inefficiency:g} of the cosmics")
    if spec.mix:
        rate = f"{1e3 * spec.accidental_rate:.3g} coincidences of the beam per microsecond"
        console.print(f"truth: {rate}, deadtime {spec.deadtime:g} for dT from 0 to 150 ns")
