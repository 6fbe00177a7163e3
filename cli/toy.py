"""``python main.py toy SAMPLE``: toy files of any size, with known truth: NanoAOD, or Mu2e's EventNtuple."""

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
  python main.py toy mu2e_cosmic --events 100000 --mix --output-dir mytoys
"""
#: Samples of Mu2e, as the command line names them; the others are of CMS.
MU2E_SAMPLES = ("mu2e_cosmic", "mu2e_ce")
_CMS_ONLY = ("luminosity", "basket_events", "content")
_MU2E_ONLY = (
    "mix",
    "off_spill",
    "inefficiency",
    "deadtime",
    "enriched",
    "as_data",
    "helix",
    "ntuple_version",
    "format",
)
SEE = "See python main.py toy --help."


def command(arguments: Sequence[str]) -> int:
    """Run ``toy SAMPLE`` and return the exit code.

    Raises:
        UserError: an option that the generator does not take, or a folder that holds another toy.
    """
    options = vars(_parser().parse_args(list(arguments[1:])))
    folder: Path = options.pop("output_dir")
    overwrite: bool = options.pop("overwrite")
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if given["sample"].startswith("mu2e"):
        from .toy_mu2e import make

        _refuse(given, _CMS_ONLY)
        return make(given, folder, overwrite=overwrite)
    _refuse(given, _MU2E_ONLY)
    return _make(given, folder, overwrite=overwrite)


def _make(given: Mapping[str, Any], folder: Path, *, overwrite: bool) -> int:
    """Generate a sample of CMS."""
    from ..toys.cms_nanoaod import generate, write_corrections

    spec = _spec(given)
    target = folder / spec.sample
    check_free(spec.model_dump(mode="json"), target, overwrite=overwrite)
    files = generate(spec, target)
    try:
        write_corrections(folder)
    except OSError as error:
        raise UserError(f"The corrections cannot be written into {folder}: {error.strerror or error}.") from None
    _show(spec, files, folder)
    return 0


def _parser() -> Parser:
    parser = Parser("toy", "Generate ROOT files with known truth in DIR/SAMPLE, and corrections in DIR.", EXAMPLES)
    parser.add_argument(
        "sample", metavar="SAMPLE", help="dy, ttbar, zz4l or data (a mixture, with distortions); mu2e_cosmic or mu2e_ce"
    )
    parser.add_argument("--events", type=int, metavar="N", help="events in all files together")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="made if it does not exist")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same events (default 1)")
    parser.add_argument("--files", type=int, metavar="N", help="number of files (default 1)")
    parser.add_argument("--compression", metavar="C", help="zstd (default), lz4, zlib or none")
    parser.add_argument("--overwrite", action="store_true", help="replace the files in DIR/SAMPLE")
    cms = parser.add_argument_group("only samples of CMS")
    cms.add_argument("--luminosity", type=float, metavar="L", help="of data, in /pb, instead of --events")
    cms.add_argument("--basket-events", type=int, metavar="N", help="events of a basket (default 100 000)")
    cms.add_argument(
        "--content", metavar="C", help="narrow (46 branches), standard (default), or wide (over 1 500 branches)"
    )
    mu2e = parser.add_argument_group("only samples of Mu2e")
    mu2e.add_argument("--mix", action="store_true", help="overlay beam pile-up")
    mu2e.add_argument("--off-spill", action="store_true", help="cosmics while there is no beam")
    mu2e.add_argument("--inefficiency", type=float, metavar="P", help="that a cosmic is not seen (default 0.01)")
    mu2e.add_argument("--deadtime", type=float, metavar="P", help="in 150 ns, from the beam (default 0.28 with --mix)")
    mu2e.add_argument("--enriched", type=float, metavar="F", help="fraction of events made signal-like (default 0)")
    mu2e.add_argument("--as-data", action="store_true", help="without the branches of simulation")
    mu2e.add_argument("--helix", metavar="H", help="lh (loop helix, default) or ch (central helix)")
    mu2e.add_argument("--ntuple-version", metavar="V", help="6.3.0, 6.6.0 or 6.13.2 (default)")
    mu2e.add_argument("--format", metavar="F", help="root (default) or parquet")
    return parser


def _refuse(given: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse the options of the other experiment.

    Raises:
        UserError: there is one.
    """
    for name in names:
        if name in given:
            raise UserError(f"--{name.replace('_', '-')} is not for the sample {given['sample']}. {SEE}")


def _spec(options: Mapping[str, Any]) -> ToySpec:
    from pydantic import ValidationError

    from ..toys.cms_nanoaod import ToySpec

    try:
        return ToySpec(**options)
    except ValidationError as error:
        first = error.errors()[0]
    if not first["loc"]:  # which of --events and --luminosity a sample takes
        text = str(first["ctx"]["error"]).replace("'events'", "--events").replace("'luminosity'", "--luminosity")
        raise UserError(f"{text[0].upper()}{text[1:]}. {SEE}")
    name = str(first["loc"][0])
    raise wrong_option("SAMPLE" if name == "sample" else "--" + name.replace("_", "-"), first)


def wrong_option(option: str, problem: Mapping[str, Any]) -> UserError:
    """Return the error for an option whose value pydantic refused with ``problem``."""
    value = problem["input"]
    valid = problem["ctx"]["expected"] if problem["type"] == "literal_error" else ""
    if valid and option == "SAMPLE":
        valid = f"{valid.replace(' or ', ', ')}, '" + "' or '".join(MU2E_SAMPLES) + "'"
    names = valid.replace("'", "").replace(" or ", ", ").split(", ")
    hint = closest(str(value), names) if valid else ""
    message = f"must be {valid}" if valid else problem["msg"][0].lower() + problem["msg"][1:]
    return UserError(f"{option} is {value}: {message}.{hint} {SEE}")


def check_free(spec: Mapping[str, Any], target: Path, *, overwrite: bool) -> None:
    """Refuse to replace what is in the folder of the sample, unless it is the very same toy.

    Args:
        spec: as the marker file of the toy has it.
        target: the folder.
        overwrite: whether the user agreed to replace it.

    Raises:
        UserError: the folder is a file, or holds other files.
    """
    import json

    if overwrite:
        return
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file, where the folder of the toy is to be. Choose another --output-dir.")
    if not target.exists() or not any(target.iterdir()):
        return
    try:
        held = json.loads((target / "toy.json").read_text(encoding="utf-8")).get("spec")
    except (OSError, ValueError, AttributeError):
        held = None
    if held == spec:
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
