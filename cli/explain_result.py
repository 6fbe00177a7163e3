"""The sections of ``explain RESULT``: each prints one question's answer, in 80 columns or more."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..outputs.normalisation import PB_PER_FB
from .provenance import flat

if TYPE_CHECKING:
    from ..outputs.bundle import Bundle
    from ..outputs.luminosity import EraLuminosity
    from ..outputs.provenance import CodeState, Provenance
    from ..outputs.report import DatasetReport, Report

#: Files of a dataset, and changed files of the source, that are named without ``--all``.
SHOWN = 3
#: Digits of a hash that are shown without ``--all``.
HASH = 16
#: Columns that a cut, what it requires, and the events of a dataset need at least.
_CUT, _SENTENCE, _EVENTS = 16, 34, 13
#: Packages that are named without ``--all``.
_MAIN_PACKAGES = ("coffea", "awkward", "uproot", "numpy", "hist", "correctionlib")
#: Rows of a cut flow that are no cuts.
_FIRST, _LAST = "all", "corrections"


def heading(console: Console, text: str) -> None:
    """Print the title of a section."""
    console.print()
    console.print(Text(text, style="bold"))


def note(console: Console, text: str, kind: str = "note") -> None:
    """Print a remark."""
    console.print(Text.assemble((f"{kind}: ", "yellow"), text))


def rows(console: Console, pairs: Iterable[tuple[str, str]]) -> None:
    """Print names with their text beside them, folded where it is long."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", overflow="fold", max_width=console.width // 3)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(Text(name), Text(text))
    console.print(Padding(grid, (0, 0, 0, 2), expand=False))


def table(*titles: str, right: Sequence[str] = ()) -> Table:
    """Return a table with the columns of ``titles``; those in ``right`` hold numbers."""
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        result.add_column(Text(title), justify="right" if title in right else "left", overflow="fold")
    return result


def show(console: Console, content: Table) -> None:
    """Print a table below its heading."""
    console.print(Padding(content, (0, 0, 0, 2), expand=False))


def datasets(console: Console, report: Report, provenance: Provenance | None, *, everything: bool) -> None:
    """What was read: datasets with their files."""
    heading(console, "Datasets")
    content = table("dataset", "kind", "era", "process", "files", "events", right=("files", "events"))
    for one in report.datasets:
        events = f"{one.events_processed:,}"
        if one.events_processed != one.events_planned:
            events += f" of {one.events_planned:,}"
        content.add_row(*map(Text, (one.name, one.kind, one.era or "–", one.process, str(one.files), events)))
    show(console, content)
    if provenance is not None:
        console.print()
        rows(console, _file_rows(provenance, everything=everything))
    for one in report.datasets:
        for lfn, reason in one.bad_files.items():
            note(console, f"{one.name}: {lfn} was not read: {reason}", "warning")


def _file_rows(provenance: Provenance, *, everything: bool) -> Iterable[tuple[str, str]]:
    for one in provenance.datasets:
        files = provenance.files_of(one.name)
        named = files if everything else files[:SHOWN]
        lines = [file.read or file.replicas[0] for file in named]
        if len(files) > len(named):
            lines.append(f"… and {len(files) - len(named)} more (--all)")
        declared = one.declared_in
        if declared is not None:
            lines.append(f"declared in {declared.path} (sha256 {declared.sha256[: None if everything else HASH]})")
        yield one.name, "\n".join(lines)


def planned_datasets(console: Console, provenance: Provenance) -> None:
    """What a run was about to read."""
    heading(console, "Datasets")
    rows(console, _file_rows(provenance, everything=False))


def cuts(console: Console, bundle: Bundle) -> None:
    """The cuts in order: what each requires, and what passes it and all before it."""
    flows = bundle.cut_flows
    if not flows:
        return
    heading(console, "Cuts, in order: events that pass it and all before it, and their fraction")
    width = console.width - 2
    beside = (width - _CUT - _SENTENCE) // _EVENTS
    if len(flows) <= beside:
        show(console, _cut_table(bundle, list(flows), sentences=True))
        return
    show(console, _cut_table(bundle, [], sentences=True))
    step = max(1, (width - _CUT) // _EVENTS)
    for start in range(0, len(flows), step):
        console.print()
        show(console, _cut_table(bundle, list(flows)[start : start + step], sentences=False))


def _cut_table(bundle: Bundle, names: Sequence[str], *, sentences: bool) -> Table:
    said = {_FIRST: "every event that was read", _LAST: "the same events, with all weights"} | dict(bundle.report.cuts)
    content = table("cut", *(["requires"] if sentences else []), *names, right=names)
    for cut in next(iter(bundle.cut_flows.values())):
        text = [Text(said.get(cut, ""))] if sentences else []
        content.add_row(Text(cut), *text, *(Text(_passing(bundle.cut_flows[name], cut)) for name in names))
    return content


def _passing(flow: Mapping[str, Mapping[str, float]], cut: str) -> str:
    row, first = flow.get(cut), flow.get(_FIRST)
    if row is None:
        return "–"
    fraction = f"\n{100 * row['n'] / first['n']:.3g} %" if first and first["n"] and cut not in (_FIRST, _LAST) else ""
    return f"{row['n']:,}{fraction}"


def regions(console: Console, report: Report) -> None:
    """Which cuts make each region."""
    if report.regions:
        heading(console, "Regions")
        rows(console, ((name, region_text(report, name)) for name in report.regions))


def region_text(report: Report, name: str) -> str:
    """Return the cuts of a region against all cuts of the analysis: what is left out, and what is inverted."""
    chosen = report.regions[name]
    free = [cut for cut in report.cuts if cut not in chosen]
    inverted = [cut for cut, passed in chosen.items() if not passed]
    text = f"every {'other ' if inverted else ''}cut is passed"
    if free:
        text += f", but {', '.join(free)} is not asked for"
    return f"INVERTED: {', '.join(inverted)} must fail; {text}" if inverted else text


def corrections(console: Console, report: Report, *, everything: bool) -> None:
    """What weighs or changes the events, with files and hashes."""
    heading(console, "Weights and corrections")
    digits = None if everything else HASH
    lines: list[tuple[str, str]] = [(name, text) for name, text in report.effects.items() if not _files(report, name)]
    for one in report.corrections:
        effect = report.effects.get(one["name"])
        if one["name"] == "luminosity_mask":
            effect = "keeps the certified luminosity sections of data"
        keys = ", ".join(dict.fromkeys(one.get("keys", {}).values()))
        point = f"working point {one['working_point']}, " if one.get("working_point") else ""
        lines.append(
            (
                one["name"],
                f"{effect or 'not applied by this analysis'}\n{one['file']} (era {one['era']}): {point}"
                f"{keys + ', ' if keys else ''}sha256 {one['sha256'][:digits]}",
            )
        )
    rows(console, lines)
    alike: dict[tuple[str, ...], list[str]] = {}
    for variation, names in report.variations.items():
        alike.setdefault(tuple(names), []).append(variation)
    for applied, variations in alike.items():
        which = variations if len(variations) <= 2 else (variations[0], "…", variations[-1])
        note(console, ", ".join(applied) or "no weight", f"variation {' '.join(which)}")


def _files(report: Report, name: str) -> bool:
    return any(one["name"] == name for one in report.corrections)


def normalisation(console: Console, report: Report, provenance: Provenance | None) -> None:
    """The formula with the numbers of each dataset, and where they come from."""
    heading(console, "Normalisation: scale = luminosity × cross section / sumw")
    rows(console, ((one.name, normalisation_text(one)) for one in report.datasets))
    rows(console, ((f"normalised to ({one.era})", _luminosity(one)) for one in report.luminosities if one.era))
    if provenance is None:
        return
    sources = {
        f"luminosity {record.definition.get('era')}": f"{found['value']:g} {found['unit']}: {found['source']}"
        for record in provenance.datasets
        if (found := record.definition.get("luminosity") or record.luminosity) is not None
    }
    rows(console, sources.items())


def _luminosity(one: EraLuminosity) -> str:
    return f"not known: {one.unknown}" if one.value is None else f"{one.value:g} /fb: {one.source}"


def normalisation_text(one: DatasetReport) -> str:
    """Return how the scale of a dataset comes about, in numbers."""
    if one.kind == "data":
        return "data: scale 1" if not one.not_normalised else f"not normalised: {one.not_normalised}"
    section = "" if one.cross_section is None else f"σ = {one.cross_section:g} pb: {one.cross_section_source}"
    placeholder = " (a PLACEHOLDER)" if one.placeholder else ""
    total = "" if one.sumw is None else f"sumw = {one.sumw:.9g} from {one.sumw_source}"
    if one.scale is None or one.cross_section is None or one.luminosity is None or one.sumw is None:
        return "\n".join(filter(None, (f"not normalised: {one.not_normalised}", section + placeholder, total)))
    return (
        f"{one.luminosity:g} /fb × {PB_PER_FB:g} pb/fb × {one.cross_section:g} pb / {one.sumw:.9g} = {one.scale:.6g}\n"
        f"{section}{placeholder}\n{total}"
    )


def parameters(console: Console, report: Report, provenance: Provenance | None, *, everything: bool) -> None:
    """The parameters that differ from their defaults, or all of them."""
    if everything or provenance is None:
        heading(console, "Parameters")
        changed = {} if provenance is None else provenance.changed_parameters
        pairs = ((name, _value(name, value, changed)) for name, value in flat(report.parameters).items())
        rows(console, pairs)
    else:
        changed_parameters(console, provenance)


def _value(name: str, value: Any, changed: Mapping[str, Mapping[str, Any]]) -> str:
    return f"{value}  (default {changed[name]['default']})" if name in changed else str(value)


def changed_parameters(console: Console, provenance: Provenance) -> None:
    """The parameters that differ from their defaults."""
    heading(console, "Parameters that differ from their defaults")
    changed = provenance.changed_parameters
    if not changed:
        console.print("  none")
    rows(console, ((name, f"{both['value']}  (default {both['default']})") for name, both in changed.items()))


def software(console: Console, provenance: Provenance, *, everything: bool) -> None:
    """The versions, and the state of the source."""
    heading(console, "Software")
    found = provenance.software.packages
    names = list(found) if everything else [name for name in _MAIN_PACKAGES if name in found]
    rows(
        console,
        [
            ("mucoffea", f"{provenance.code.version}, {code_text(provenance.code, everything=everything)}"),
            ("Python", f"{provenance.software.python} on {provenance.software.platform}"),
            ("packages", ", ".join(f"{name} {found[name]}" for name in names)),
            ("run key", provenance.keys.run[: None if everything else HASH]),
        ],
    )


def code_text(code: CodeState, *, everything: bool = False) -> str:
    """Return the state of the source in words."""
    if code.dirty is None:
        return "git state unknown"
    commit = f"git {code.commit[: None if everything else 12]}"
    if not code.dirty:
        return f"{commit}, unchanged"
    named = code.changed_files if everything else code.changed_files[:SHOWN]
    more = len(code.changed_files) - len(named)
    rest = f" and {more} more" if more else ""
    diff = f", diff sha256 {code.diff_sha256[: None if everything else HASH]}" if code.diff_sha256 else ""
    return f"{commit}, CHANGED: {', '.join(named)}{rest}{diff}"


def execution(console: Console, provenance: Provenance) -> None:
    """When, where and how it ran, and how the work items ended."""
    heading(console, "Run")
    effort, ledger, machine = provenance.effort, provenance.ledger, provenance.machine
    ended = "not finished" if provenance.ended is None else f"ended {provenance.ended:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        ("command", shlex.join(provenance.command_line)),
        ("in", provenance.working_directory),
        ("time", f"started {provenance.started:%Y-%m-%d %H:%M:%S} UTC, {ended}"),
        ("where", f"{machine.executor}, {machine.workers} workers, {machine.host}"),
    ]
    if provenance.ended is not None:
        lines += [
            (
                "effort",
                f"{effort.events:,} events in {effort.processing_seconds:.1f} s, {effort.cpu_seconds:.1f} CPU-s; "
                f"{effort.bytes_read / 1e6:.1f} MB and {len(effort.branches_read)} branches read",
            ),
            (
                "work items",
                f"{ledger.planned}: {ledger.done} done, {ledger.failed} failed, {ledger.lost} lost, "
                f"{ledger.attempts} attempts",
            ),
        ]
    rows(console, [*lines, *(("failed", message) for message in ledger.failures[:SHOWN])])
