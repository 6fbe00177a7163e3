"""Four leptons from the command line: a row for each event, the generated mass, and plots drawn again."""

from __future__ import annotations

import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from mucoffea import cli

from .support.command_line import Command
from .support.results import cut_flows

pytestmark = pytest.mark.usefixtures("_wide_terminal")


@pytest.fixture(scope="module")
def four_lepton(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of cms_four_lepton on toy ZZ, requiring two pairs, with its plots."""
    folder = tmp_path_factory.mktemp("four") / "out"
    words = ["--datasets", toys / "zz4l.root", "--processor", "cms_four_lepton", "--output-dir", folder]
    assert cli.main([str(word) for word in (*words, "--set", "two_pairs=true")]) == 0
    return folder


def test_four_leptons_have_a_row_for_each_selected_event(four_lepton: Path):
    path = four_lepton / "columns/zz4l.parquet"
    table = pq.read_table(path)
    rows = ak.from_parquet(path)
    flow = cut_flows(four_lepton)["zz4l"]
    assert table.num_rows == len(rows) == flow["two_pairs"]["n"] > 300
    wanted = [
        f"lepton{k}_{name}" for k in (1, 2, 3, 4) for name in ("pt", "eta", "phi", "charge", "dxy", "dz", "pdgId")
    ]
    assert {"run", "luminosityBlock", "event", "weight", "z1_mass", "z2_mass", "mass", *wanted} <= set(rows.fields)
    assert len(set(zip(*(rows[name].tolist() for name in ("run", "luminosityBlock", "event")), strict=True))) == len(
        rows
    )
    assert ak.sum(rows.weight) == pytest.approx(flow["corrections"]["sumw"], rel=1e-12)
    for harder, softer in ((1, 2), (2, 3), (3, 4)):
        assert ak.all(rows[f"lepton{harder}_pt"] >= rows[f"lepton{softer}_pt"])
    assert ak.all(sum(rows[f"lepton{k}_charge"] for k in (1, 2, 3, 4)) == 0)
    assert not any(ak.any(np.isnan(rows[name])) for name in rows.fields)
    flavours = sum((abs(rows[f"lepton{k}_pdgId"]) == 11) * 1 for k in (1, 2, 3, 4))
    assert ak.all(flavours == rows.n_electrons)
    # ZZ of equal branching fractions: two of one and two of the other flavour are as many as the rest.
    counts = {n: int(ak.sum(rows.n_electrons == n)) for n in (0, 2, 4)}
    assert sum(counts.values()) == len(rows)
    assert all(count > 100 for count in counts.values())
    assert ak.all(rows.event[1:] > rows.event[:-1])


def test_the_four_lepton_mass_is_where_it_was_generated(four_lepton: Path, toys: Path):
    rows = ak.from_parquet(four_lepton / "columns/zz4l.parquet")
    with uproot.open(toys / "zz4l.root") as file:
        tree = file["Events"]
        particles = ak.zip({name: tree[f"GenPart_{name}"].array() for name in ("pt", "eta", "phi", "pdgId", "status")})
        number = tree["event"].array(library="np")
    code = abs(particles.pdgId)
    leptons = particles[((code == 13) | (code == 11)) & (particles.status == 1)]
    four = ak.num(leptons) == 4
    e, pz = leptons.pt * np.cosh(leptons.eta), leptons.pt * np.sinh(leptons.eta)
    px, py = leptons.pt * np.cos(leptons.phi), leptons.pt * np.sin(leptons.phi)
    square = sum(sign * ak.sum(x, axis=1) ** 2 for sign, x in ((1, e), (-1, px), (-1, py), (-1, pz)))
    generated = dict(zip(number[four].tolist(), np.sqrt(square[four]).tolist(), strict=True))
    known = np.array([event in generated for event in rows.event.tolist()])
    assert known.mean() > 0.95  # the rest has a lepton from a tau or a hadron
    rows = rows[known]
    truth = np.array([generated[event] for event in rows.event.tolist()])
    ratio = np.asarray(rows.mass.tolist()) / truth
    assert np.median(ratio) == pytest.approx(1, abs=2e-3)
    assert np.percentile(ratio, 84) - np.percentile(ratio, 16) < 0.05
    edges = np.linspace(180, 320, 15)
    ours, theirs = (np.histogram(mass, edges)[0] for mass in (np.asarray(rows.mass.tolist()), truth))
    assert abs(int(np.argmax(ours)) - int(np.argmax(theirs))) <= 1
    assert np.median(np.asarray(rows.z1_mass.tolist())) == pytest.approx(91.19, abs=0.5)


def test_plots_are_drawn_again_from_the_result_alone(command: Command, four_lepton: Path, tmp_path: Path):
    folder = tmp_path / "moved"
    shutil.copytree(four_lepton, folder)
    drawn = sorted(path.name for path in (folder / "plots").iterdir())
    assert {"4mu_mass_z1.png", "2e2mu_mass_z1.pdf", "cut_flow.png", "n_minus_one.pdf"} <= set(drawn)
    shutil.rmtree(folder / "plots")
    ended = command("plot", folder)
    assert ended.code == 0
    assert f"{len(drawn) // 2} figures" in ended.out
    assert sorted(path.name for path in (folder / "plots").iterdir()) == drawn
    assert (folder / "plots/cut_flow.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "plots/cut_flow.pdf").read_bytes().startswith(b"%PDF")
