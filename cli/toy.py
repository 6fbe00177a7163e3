"""``python main.py toy SAMPLE``: toy NanoAOD files of any size, with known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError, closest
from .parsing import Parser

if TYPE_CHECKING:
    from ..toys.cms_nanoaod import ToySpec

EXAMPLES = """\
  python main.py toy dy --events 1000000 --output-dir mytoys
  python main.py toy data --luminosity 20 --output-dir mytoys
  MUCOFFEA_CORRECTIONS=mytoys python main.py --datasets mytoys/dy mytoys/data --era demo --processor cms_dimuon
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``toy SAMPLE`` and return the exit code.

    Raises:
        UserError: an option that the generator does not take, or a folder that holds another toy.
    """
    options = vars(_parser().parse_args(list(arguments[1:])))
    folder: Path = options.pop("output_dir")
    overwrite: bool = options.pop("overwrite")
    from ..toys.cms_nanoaod import generate, write_corrections

    spec = _spec(options)
    target = folder / spec.sample
    if not overwrite:
        _check_free(spec, target)
    files = generate(spec, target)
    try:
        write_corrections(folder)
    except OSError as error:
        raise UserError(f"The corrections cannot be written into {folder}: {error.strerror or error}.") from None
    _show(spec, files, folder)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "toy", "Generate NanoAOD-like ROOT files in DIR/SAMPLE, and the corrections of pseudo-data in DIR.", EXAMPLES
    )
    parser.add_argument("sample", metavar="SAMPLE", help="dy, ttbar, zz4l or data (a mixture, with distortions)")
    parser.add_argument("--events", type=int, metavar="N", help="events in all files together")
    parser.add_argument("--luminosity", type=float, metavar="L", help="of data, in /pb, instead of --events")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="made if it does not exist")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same events (default 1)")
    parser.add_argument("--files", type=int, metavar="N", help="number of files (default 1)")
    parser.add_argument("--compression", metavar="C", help="zstd (default), lz4, zlib or none")
    parser.add_argument("--basket-events", type=int, metavar="N", help="events of a basket (default 100 000)")
    parser.add_argument(
        "--content", metavar="C", help="narrow (46 branches), standard (default), or wide (over 1 500 branches)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the files in DIR/SAMPLE")
    return parser


def _spec(options: Mapping[str, Any]) -> ToySpec:
    from pydantic import ValidationError

    from ..toys.cms_nanoaod import ToySpec

    try:
        return ToySpec(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
    if not first["loc"]:  # which of --events and --luminosity a sample takes
        text = str(first["ctx"]["error"]).replace("'events'", "--events").replace("'luminosity'", "--luminosity")
        raise UserError(f"{text[0].upper()}{text[1:]}. See python main.py toy --help.")
    name, value = str(first["loc"][0]), first["input"]
    option = "SAMPLE" if name == "sample" else "--" + name.replace("_", "-")
    valid = first["ctx"]["expected"] if first["type"] == "literal_error" else ""
    hint = closest(str(value), valid.replace("'", "").replace(" or ", ", ").split(", ")) if valid else ""
    message = f"must be {valid}" if valid else first["msg"][0].lower() + first["msg"][1:]
    raise UserError(f"{option} is {value}: {message}.{hint} See python main.py toy --help.")


def _check_free(spec: ToySpec, target: Path) -> None:
    """Refuse to replace what is in the folder of the sample, unless it is the very same toy.

    Raises:
        UserError: the folder is a file, or holds other files.
    """
    import json

    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file, where the folder of the toy is to be. Choose another --output-dir.")
    if not target.exists() or not any(target.iterdir()):
        return
    try:
        held = json.loads((target / "toy.json").read_text(encoding="utf-8")).get("spec")
    except (OSError, ValueError, AttributeError):
        held = None
    if held == spec.model_dump(mode="json"):
        return  # generate() keeps what is complete, and makes the rest
    what = "a toy with other settings" if held else "files that are no complete toy"
    raise UserError(
        f"The folder {target} holds {what} already. Give --overwrite to replace it, or choose another folder with "
        "--output-dir."
    )


def _show(spec: ToySpec, files: Sequence[Path], folder: Path) -> None:
    """Print the files and the truth behind them."""
    import uproot
    from rich.console import Console

    from ..toys.cms_nanoaod import DEMO_CROSS_SECTIONS, certified_luminosity

    console = Console(highlight=False, soft_wrap=True)
    events, sumw = 0, 0.0
    for path in files:
        with uproot.open(path) as file:
            entries = file["Events"].num_entries
            if spec.sample != "data":
                sumw += float(file["Runs/genEventSumw"].array(library="np").sum())
        events += entries
        console.print(f"{path}: {entries:,} events, {path.stat().st_size / 1e6:.1f} MB", markup=False)
    console.print(f"corrections of the era demo: {folder} (MUCOFFEA_CORRECTIONS={folder})", markup=False)
    if spec.sample == "data":
        mixed = ", ".join(f"{name} {value:g} pb" for name, value in DEMO_CROSS_SECTIONS.items())
        console.print(f"truth: {events:,} events, certified luminosity {certified_luminosity(spec):g} /pb of {mixed}")
    else:
        console.print(f"truth: {events:,} events, sumw {sumw!r}, cross section {DEMO_CROSS_SECTIONS[spec.sample]:g} pb")
