"""From toy events to a trained veto and back into the analysis, with the documented commands."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from mucoffea import cli
from mucoffea.ml.crv_evaluation import event_scores
from mucoffea.ml.crv_export import read_veto
from mucoffea.ml.crv_settings import Settings
from mucoffea.ml.crv_table import read_table
from mucoffea.selections import veto_model

pytest.importorskip("xgboost", reason="the extra ml is not installed")

SAMPLES = ("cosmic", "ce")


def commands(*lines: str) -> None:
    for line in lines:
        assert cli.main(line.split()) == 0, line


def cut_flow(folder: Path, cut: str) -> int:
    with (folder / "cutflow.csv").open(newline="") as file:
        return next(int(row["n"]) for row in csv.DictReader(file) if row["cut"] == cut)


@pytest.mark.slow
def test_the_veto_does_in_the_analysis_what_its_report_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in ((1, "toys"), (7, "fresh")):
        more = f"--events 8000 --mix --enriched 0.9 --seed {seed} --output-dir {name}"
        commands(f"toy mu2e_cosmic --inefficiency 0.0003 {more}", f"toy mu2e_ce {more}")
        for sample in SAMPLES:
            run = f"--processor mu2e_coincidences --set spill=on --no-plots --output-dir {name}_{sample}"
            commands(f"--datasets {name}/mu2e_{sample} {run}")
    commands("mu2e train toys_cosmic toys_ce --output-dir veto --target 0.99 --folds 3")
    for sample in SAMPLES:
        options = (
            "--set spill=on --set cutsets=[MLPreprocess] --set cuts.unvetoed=true --set cuts.within_wide_win=false"
        )
        commands(
            f"--datasets fresh/mu2e_{sample} --processor mu2e_cosmic {options} --set veto_model=veto/model "
            f"--no-plots --output-dir out_{sample}"
        )
    row = json.loads(Path("veto/report.json").read_text())["comparison"][0]
    for sample, name in zip(SAMPLES, ("efficiency", "deadtime"), strict=True):
        before, after = (cut_flow(Path(f"out_{sample}"), cut) for cut in ("within_lhr_max_hi", "unvetoed"))
        vetoed = 1 - after / before
        error = math.sqrt(row[name] * (1 - row[name]) * 2 / before + row[f"{name}_spread"] ** 2)
        assert vetoed == pytest.approx(row[name], abs=4 * error), name
    compare_with_the_table()


def compare_with_the_table() -> None:
    """Scores and decisions on the fresh coincidences are the same through both readers."""
    veto = read_veto(Path("veto/model"))
    table = read_table(Path("fresh_cosmic"), Path("fresh_ce"), Settings(features=veto.features))
    scores = veto.scores(table.values)
    columns = {name: table.values[:, place] for place, name in enumerate(veto.features)}
    for file in ("model.ubj", "model.onnx"):
        if (Path("veto/model") / file).exists():
            assert veto_model.score(Path("veto/model") / file, columns) == pytest.approx(scores, abs=1e-6)
    vetoed = event_scores(scores, table.event, table.n_events) >= veto.threshold
    for sample, cosmic in (("cosmic", True), ("ce", False)):
        rows = pq.read_table(f"out_{sample}/columns/mu2e_{sample}.parquet", columns=["run", "subrun", "event"])
        survivors = set(zip(*rows.to_pydict().values(), strict=True))
        chosen = table.cosmic == cosmic
        keys = np.stack([table.key[name][chosen] for name in ("run", "subrun", "event")], axis=1).tolist()
        # The table holds the events in the wide momentum window alone.
        kept = {tuple(key) for key, gone in zip(keys, vetoed[chosen], strict=True) if not gone}
        lost = {tuple(key) for key, gone in zip(keys, vetoed[chosen], strict=True) if gone}
        assert kept
        assert kept <= survivors
        assert not lost & survivors
