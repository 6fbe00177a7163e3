"""``python main.py mu2e events``: which events survived, in words and as a list."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from .mu2e_results import FOLDER, Sample, add_flags, output, read_result, samples, warn
from .parsing import Parser

#: Events that are printed; the files have all.
SHOWN = 10
EXAMPLES = """\
  python main.py mu2e events results
  python main.py mu2e events results --cutset SU2020b --window Extended
"""
#: Momentum window → the cut whose bit says that a track is in it.
WINDOW_CUTS = {"Wide": "within_wide_win", "Extended": "within_ext_win", "Signal": "within_sig_win"}
COLUMNS = (
    *("dataset", "cutset", "run", "subrun", "event", "p_front", "t_mid", "d0", "pitch", "trkqual", "nactive"),
    *("n_coincidences", "min_dT", "missed_by", "parent_pdg", "why"),
)


def command(arguments: Sequence[str]) -> int:
    """Run ``events RESULT`` and return the exit code."""
    parser = Parser("mu2e events", "The events of a result: when, where, and why the veto missed them.", EXAMPLES)
    parser.add_argument("result", type=Path, metavar="RESULT", help="a result of mu2e_cosmic")
    parser.add_argument("--window", choices=list(WINDOW_CUTS), help="only tracks in this momentum window")
    add_flags(parser, intervals=False)
    options = parser.parse_args(list(arguments[1:]))
    from rich.console import Console

    from ..processors.mu2e_event_info import event_info, why_missed

    result = read_result(options.result)
    texts: list[str] = []
    table: list[dict[str, Any]] = []
    for sample in samples(result, options.cutset, options.dataset, options.signal):
        rows = _rows(options.result, sample, options.window)
        texts += [event_info([row], source=sample.name, first=len(texts) + i) for i, row in enumerate(rows)]
        known = {"dataset": sample.name, "cutset": sample.cutset}
        table += [{**row, **known, "why": why_missed(row)} for row in rows]
    folder = options.output_dir or options.result / FOLDER
    with output(folder, ["events"], overwrite=options.overwrite) as work:
        (work / "events.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        with (work / "events.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(table)
    console = Console(highlight=False)
    for text in texts[:SHOWN]:
        console.print(text, markup=False)
    warn(console, result.warnings)
    more = f", of which {SHOWN} are shown" if len(texts) > SHOWN else ""
    console.print(f"{len(texts)} events{more}; all in {folder}: events.txt, events.csv", markup=False, soft_wrap=True)
    return result.exit_code


def _rows(folder: Path, sample: Sample, window: str | None) -> list[dict[str, Any]]:
    """Return the rows of the table of events of a dataset and cutset."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = folder / "columns" / f"{sample.name}.parquet"
    if not path.is_file():
        raise UserError(
            f"The result in {folder} has no table of the events of {sample.name}. Run it without --set columns=none."
        )
    table = pq.read_table(path)
    chosen = table[f"cutset_{sample.cutset}"]
    if window is not None:
        chosen = pc.and_(chosen, table[f"pass_{WINDOW_CUTS[window]}"])
    found: list[dict[str, Any]] = table.filter(chosen).to_pylist()
    return found
