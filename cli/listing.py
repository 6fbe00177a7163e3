"""``python main.py list``: the datasets, eras and analyses that are known."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .parsing import Parser

EXAMPLES = """\
  python main.py list
  python main.py list 'ZZ*' fileset.json
  python main.py list --eras
"""
#: Characters of a line where no terminal says how many it has.
WIDTH = 240


def command(arguments: Sequence[str]) -> int:
    """Run ``list [D …]`` and return the exit code."""
    parser = Parser("list", "Show datasets with kind, era, files, cross section and source.", EXAMPLES)
    parser.add_argument("datasets", nargs="*", default=["all"], help="as for --datasets (default: all)")
    parser.add_argument("--eras", action="store_true", help="show the eras instead")
    parser.add_argument("--processors", action="store_true", help="show the analyses instead")
    options = parser.parse_args(list(arguments[1:]))
    console = Console()
    if not console.is_terminal:  # so that `list | grep` finds names that are not folded over two lines
        console = Console(width=max(console.width, WIDTH))
    if options.processors:
        console.print(_processors())
    elif options.eras:
        console.print(_eras())
    else:
        console.print(_datasets(options.datasets))
    return 0


def _datasets(requests: Sequence[str]) -> Table:
    from ..filesets.registry import load_registry, resolve, rows

    table = Table(caption="LO?: a placeholder cross section, see its source", caption_justify="left")
    for title in ("dataset", "kind", "era", "files"):
        table.add_column(title, overflow="fold")
    table.add_column("σ (pb)", justify="right")
    table.add_column("livetime (s)", justify="right")
    table.add_column("generated", justify="right")
    table.add_column("source of the cross section or exposure", overflow="fold")
    for row in rows(resolve(requests, load_registry())):
        section = "–" if row["cross_section"] is None else f"{row['cross_section']:g}"
        table.add_row(
            row["name"],
            row["kind"],
            row["era"] or "–",
            str(row["files"]),
            section + (" LO?" if row["placeholder"] else ""),
            "–" if row["livetime"] is None else f"{row['livetime']:,.10g}",
            "–" if row["generated_events"] is None else f"{row['generated_events']:,}",
            row["source"] or "–",
        )
    return table


def _eras() -> Table:
    from ..filesets.eras import load_eras

    table = Table("era", "also called", "√s (TeV)", "L (/fb)", "NanoAOD", "golden JSON", "source of L")
    for era in load_eras().values():
        table.add_row(
            era.name,
            ", ".join(era.aliases),
            f"{era.com_energy:g}",
            f"{era.luminosity.value:g}" if era.luminosity else "–",
            era.nanoaod,
            era.golden_json or "–",
            era.luminosity.source if era.luminosity else "–",
        )
    return table


def _processors() -> Table:
    from ..processors import ANALYSES

    table = Table("processor", "what it does")
    for name, (_, _, text) in ANALYSES.items():
        table.add_row(name, text)
    return table
