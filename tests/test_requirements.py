"""The branches that an analysis declares are those that it reads: none more, none less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mucoffea.cli.analysis import draft_setup
from mucoffea.executors.ledger import Outcome
from mucoffea.executors.open_files import close_files
from mucoffea.executors.plan import build_plan
from mucoffea.executors.worker import Work
from mucoffea.filesets.local import branch_sizes, build_fileset, inspect
from mucoffea.filesets.models import Dataset
from mucoffea.processors import find_analysis
from mucoffea.processors.base import Analysis, EraInputs
from mucoffea.processors.requirements import Requirement
from mucoffea.selections.electrons import ElectronSelection, good_electrons
from mucoffea.selections.electrons import branches as electron_branches

from .support.root_files import copy_events

#: Analysis, parameters, kind, era: every branch of the code that chooses what is read.
CASES = {
    "dimuon": ("cms_dimuon", [], "mc", "demo"),
    "dimuon of data": ("cms_dimuon", [], "data", "demo"),
    "dimuon without era": ("cms_dimuon", [], "mc", None),
    "dimuon of data without era": ("cms_dimuon", [], "data", None),
    "no cut that can be left out": (
        "cms_dimuon",
        ["muon={identification: none, isolation: none, max_dxy: null, max_dz: null}", "triggers=[]", "met_filters=no"],
        "mc",
        "demo",
    ),
    "other muons": (
        "cms_dimuon",
        ["muon={identification: high_pt, max_sip3d: 4}", "trigger_match=false", "corrections=[]"],
        "mc",
        "demo",
    ),
    "medium muons, a path by its short name": (
        "cms_dimuon",
        ["muon.identification=medium", "triggers=[IsoMu24]", "corrections=[pileup]"],
        "mc",
        "demo",
    ),
    "four muons": ("cms_four_lepton", [], "mc", "demo"),
    "four muons of data": ("cms_four_lepton", ["two_pairs=true"], "data", "demo"),
    "four muons without era": ("cms_four_lepton", [], "mc", None),
    "four muons with scale factors": (
        "cms_four_lepton",
        ["corrections=[pileup, muon_id, muon_iso]", "muon.max_sip3d=null", "triggers=[]"],
        "mc",
        "demo",
    ),
}


class Nowhere:
    """A store that keeps nothing."""

    def reachable(self) -> bool:
        return True

    def write(self, item: Any, result: Any) -> None:
        pass


def analyse(path: Path, processor: Analysis, kind: str, era: str | None) -> Outcome:
    """Process the first 600 events of a file as a run does."""
    dataset = Dataset(name="a", kind=kind, process="a", era=era, files=(str(path),), origin="this test")
    fileset = build_fileset(dataset)
    fileset = fileset.model_copy(update={"files": tuple(inspect(file) for file in fileset.files)})
    plan = build_plan([fileset], chunksize=600, max_chunks=1)
    close_files()
    try:
        return Work(run_id=str(path), processor=processor, store=Nowhere())(plan.items[0])
    finally:
        close_files()


def make(toys: Path, case: str) -> tuple[Analysis, str, str | None]:
    name, settings, kind, era = CASES[case]
    dataset = Dataset(name="a", kind=kind, process="a", era=era, files=("x.root",), origin="this test")
    setup = draft_setup(name, [dataset], config=None, settings=settings, folders=[toys]).finish()
    return setup.processor, kind, era


def requirements(processor: Analysis, kind: str, era: str | None) -> tuple[Requirement, ...]:
    return processor.requirements(kind, processor.eras.get(era or "", EraInputs()))


@pytest.mark.parametrize("case", CASES)
def test_declared_is_what_is_read(toys: Path, case: str):
    processor, kind, era = make(toys, case)
    path = toys / ("data.root" if kind == "data" else "zz4l.root")
    outcome = analyse(path, processor, kind, era)
    assert outcome.status == "done", outcome.message
    present = set(
        branch_sizes(inspect(build_fileset(Dataset(name="a", kind="mc", process="a", files=(str(path),))).files[0]))
    )
    declared = requirements(processor, kind, era)
    assert all(one.met(present) for one in declared)
    read = {name for name in outcome.branches if not (name.startswith("n") and name[1:2].isupper())}
    named = {branch for one in declared for branch in one.branches}
    # Whether it is read or not, no event is built without its identity.
    identity = {branch for one in declared if one.component == "event identity" for branch in one.branches}
    assert read <= named
    assert (named & present) - identity <= read


@pytest.mark.parametrize(
    ("case", "branch"),
    [
        ("dimuon", "event"),
        ("dimuon", "Muon_pfRelIso04_all"),
        ("dimuon", "TrigObj_filterBits"),
        ("dimuon", "HLT_IsoMu24"),
        ("four muons", "Flag_goodVertices"),
    ],
)
def test_a_file_without_a_declared_branch_fails(toys: Path, tmp_path: Path, case: str, branch: str):
    processor, kind, era = make(toys, case)
    file = copy_events(toys / "zz4l.root", tmp_path / "lacking.root", without=branch, stop=200)
    present = set(
        branch_sizes(inspect(build_fileset(Dataset(name="a", kind="mc", process="a", files=(str(file),))).files[0]))
    )
    unmet = [one for one in requirements(processor, kind, era) if not one.met(present)]
    assert unmet
    assert all(branch in one.branches for one in unmet)
    outcome = analyse(file, processor, kind, era)
    assert (outcome.status, outcome.cause) == ("failed", "code")


@pytest.mark.parametrize("branch", ["Flag_BadPFMuonDzFilter"])
def test_a_file_without_an_optional_branch_is_processed(toys: Path, tmp_path: Path, branch: str):
    processor, kind, era = make(toys, "dimuon")
    file = copy_events(toys / "zz4l.root", tmp_path / "lacking.root", without=branch, stop=200)
    (one,) = [one for one in requirements(processor, kind, era) if branch in one.branches]
    assert one.met(())
    assert analyse(file, processor, kind, era).status == "done"


@pytest.mark.parametrize(
    ("need", "present", "met"),
    [
        ("all", "ab", True),
        ("all", "a", False),
        ("any", "b", True),
        ("any", "", False),
        ("first known", "a", True),
        ("first known", "", False),
        ("together", "ab", True),
        ("together", "a", False),
        ("together", "", True),
        ("none", "", True),
    ],
)
def test_what_has_to_be_there(need: Any, present: str, met: bool):
    assert Requirement(component="c", branches=("a", "b"), need=need).met(present) is met


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"identification": "none", "veto_gap": False},
        {"identification": "mvaFall17V2Iso_WP90", "max_dxy_barrel": None, "max_dxy_endcap": None},
        {
            **dict.fromkeys(("max_dxy_barrel", "max_dxy_endcap", "max_dz_barrel", "max_dz_endcap")),
            "veto_gap": False,
            "max_sip3d": 4.0,
        },
    ],
)
def test_electrons_declare_what_they_read(options: dict[str, Any]):
    import awkward as ak

    class Recording:
        """Electrons that note which of their columns are asked for."""

        def __init__(self) -> None:
            self.read: set[str] = set()
            self.fields = ["pt", "eta", "cutBased", "mvaFall17V2Iso_WP90", "deltaEtaSC", "dxy", "dz", "sip3d"]

        def __getitem__(self, name: str) -> ak.Array:
            self.read.add(f"Electron_{name}")
            return ak.Array([[1.0, 2.0], []])

    electrons, selection = Recording(), ElectronSelection(**options)
    good_electrons(electrons, selection)
    assert electrons.read == set(electron_branches(selection))


def test_an_analysis_declares_the_histograms_that_it_fills(toys: Path):
    for case in ("dimuon", "four muons"):
        processor, *_ = make(toys, case)
        era = processor.eras["demo"]
        for one in processor.histograms:
            made = one.create("a", processor.regions, processor.variations(era))
            assert one.size(processor.regions, processor.variations(era)) == made.view(flow=True).nbytes
    assert all(find_analysis(name)().histograms for name in ("cms_dimuon", "cms_dielectron", "cms_leptons_jets"))
