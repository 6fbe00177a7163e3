"""``python main.py mu2e train COSMICS ELECTRONS``: train a cosmic-ray veto and say what it can do."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .parsing import Parser

if TYPE_CHECKING:
    from rich.console import Console

    from ..ml.crv_ablation import Step
    from ..ml.crv_settings import Settings
    from ..ml.crv_table import Table
    from ..ml.crv_training import Study

EXAMPLES = """\
  python main.py toy mu2e_cosmic --events 30000 --mix --enriched 0.9 --inefficiency 0.0003 --output-dir mytoys
  python main.py toy mu2e_ce --events 30000 --mix --enriched 0.9 --output-dir mytoys
  python main.py --datasets mytoys/mu2e_cosmic --processor mu2e_coincidences --set spill=on --output-dir cosmics
  python main.py --datasets mytoys/mu2e_ce --processor mu2e_coincidences --set spill=on --output-dir electrons
  python main.py mu2e train cosmics electrons --output-dir veto
"""
#: Trees of a model in the ablation.
ABLATION_ROUNDS = 100


def command(arguments: Sequence[str]) -> int:
    """Run ``train COSMICS ELECTRONS`` and return the exit code.

    Raises:
        UserError: an input or a setting is wrong, the folder is taken, or a package is missing.
    """
    options = _parser().parse_args(list(arguments[1:]))
    folder: Path = options.output_dir
    settings = _settings(vars(options))
    from ..ml.crv_table import read_table
    from ..ml.packages import load

    load("xgboost")
    _check_free(folder, overwrite=options.overwrite)
    table = read_table(options.cosmics, options.electrons, settings)
    work = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        report = _study(table, settings, work, ablation=options.ablation)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    except OSError as error:
        raise UserError(f"The result cannot be written to {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _show(report, folder)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "mu2e train",
        "Train a veto on the coincidences of cosmics and of conversion electrons with pile-up; quote its efficiency "
        "and deadtime on events that it has not seen.",
        EXAMPLES,
    )
    parser.add_argument("cosmics", type=Path, metavar="COSMICS", help="a result of mu2e_coincidences, or its Parquet")
    parser.add_argument("electrons", type=Path, metavar="ELECTRONS", help="the same of electrons with pile-up")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="made by this command")
    parser.add_argument("--folds", type=int, metavar="N", help="outer folds (default 5)")
    parser.add_argument("--target", type=float, metavar="E", help="veto efficiency to reach (default 0.999)")
    parser.add_argument(
        "--validation", type=float, metavar="F", help="of the events to train on, to choose the threshold (default 0.4)"
    )
    parser.add_argument(
        "--grid", choices=("none", "small"), default="none", help="hyper-parameters to try: 12, or the default alone"
    )
    parser.add_argument("--features", nargs="+", metavar="F", help="columns to learn from (default: 8 of them)")
    parser.add_argument("--labels", choices=("auto", "truth", "sample"), help="of coincidences (default auto)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the splits (default 42)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="of the training; last digits depend on it (default 1)"
    )
    parser.add_argument("--ablation", action="store_true", help="also leave out and add features one by one, minutes")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier study in DIR")
    return parser


def _settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of the flags that were given."""
    from pydantic import ValidationError

    from ..ml.crv_settings import Booster, Settings, small_grid

    names = ("folds", "target", "validation", "features", "labels", "seed", "threads")
    given = {name: options[name] for name in names if options[name] is not None}
    if options["grid"] == "small":
        given["grid"] = small_grid(Booster())
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "features"
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(
            f"--{name} is {given[name]}: {message[0].lower()}{message[1:]}. See python main.py mu2e train --help."
        ) from None


def _check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything, but for an earlier study that is to be replaced."""
    from ..ml.crv_report import KIND

    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        held = json.loads((folder / "report.json").read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        held = None
    if held != KIND:
        raise UserError(f"{folder} holds something that is no study of a veto. Choose another --output-dir.")
    if not overwrite:
        raise UserError(
            f"{folder} holds an earlier study. Give --overwrite to replace it, or choose another --output-dir."
        )


def _study(table: Table, settings: Settings, work: Path, *, ablation: bool) -> dict[str, Any]:
    """Do everything and write it into ``work``; return the report."""
    from rich.console import Console

    from ..ml import crv_report
    from ..ml.crv_export import export
    from ..ml.crv_training import cross_validate, train_final
    from ..plotting.mu2e_veto import draw_all

    console = Console(stderr=True)
    with console.status(f"training {settings.folds} folds on {table.n_events:,} events"):
        study = cross_validate(table, settings)
        final = train_final(table, settings)
    steps = _ablation(table, settings, console) if ablation else {}
    with console.status("writing report and plots"):
        report = crv_report.describe(table, study, final, settings, steps)
        crv_report.write(work, report, table, study)
        export(work / "model", table, final, settings, report["comparison"][0])
        draw_all(work / "plots", _scores(table, study, settings), report)
    return report


def _ablation(table: Table, settings: Settings, console: Console) -> dict[str, Sequence[Step]]:
    from rich.progress import Progress

    from ..ml.crv_ablation import add_one, drop_one, number_of_studies

    # The hyper-parameters stay the same, so that the features are all that changes. There are many studies, and fewer
    # trees show the same.
    fewer = settings.booster.model_copy(update={"rounds": min(settings.booster.rounds, ABLATION_ROUNDS)})
    fixed = settings.model_copy(update={"grid": (), "booster": fewer})
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("ablation", total=number_of_studies(len(table.features)))
        return {
            "drop": drop_one(table, fixed, lambda: progress.advance(task)),
            "add": add_one(table, fixed, lambda: progress.advance(task)),
        }


def _scores(table: Table, study: Study, settings: Settings) -> Any:
    """Return what the figures need."""
    from ..ml.crv_evaluation import roc_curve
    from ..plotting.mu2e_veto import VetoScores

    curves = {}
    for name in [*map(str, range(settings.folds)), "all"]:
        used = study.fold_of == int(name) if name != "all" else slice(None)
        curve = roc_curve(study.score[used], table.cosmic[used])
        curves[name] = (curve["efficiency"], curve["deadtime"])
    return VetoScores(
        score=study.score,
        cosmic=table.cosmic,
        row_score=study.row_score,
        row_label=table.label,
        curves=curves,
        thresholds=[fold.chosen.threshold.value for fold in study.folds],
        target=settings.target,
    )


def _show(report: Mapping[str, Any], folder: Path) -> None:
    """Print efficiency and deadtime with their intervals."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    for source, kind in zip(report["inputs"], ("cosmics", "electrons"), strict=True):
        console.print(
            f"{kind}: {source['events']:,} events, {source['rows']:,} coincidences, "
            f"{source['events_without_coincidence']:,} events without"
        )
    settings = report["settings"]
    title = f"Test events of {settings['folds']} folds, intervals at {100 * settings['confidence']:.2f} %"
    shown = RichTable("Veto", "Efficiency [%]", "Deadtime [%]", title=title)
    for row in report["comparison"]:
        shown.add_row(row["veto"], _percent(row, "efficiency"), _percent(row, "deadtime"))
    console.print(shown)
    trained = report["comparison"][0]
    spread = [f"{name} ±{100 * trained[f'{name}_spread']:.3f} %" for name in ("efficiency", "deadtime")]
    console.print(f"one training, from the spread of the folds: {', '.join(spread)}")
    for warning in report["warnings"]:
        console.print(f"[yellow]warning:[/yellow] {warning}")
    console.print(f"{folder / 'report.json'}, tables, plots, and the veto in {folder / 'model'}", markup=False)


def _percent(row: Mapping[str, Any], name: str) -> str:
    from ..outputs.intervals import Estimate
    from ..outputs.mu2e_tables import text

    return text(Estimate(value=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"]).scaled(100))
