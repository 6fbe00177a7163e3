"""Four leptons in CMS NanoAOD: 4μ, 4e and 2e2μ as two Z candidates, histograms, and one Parquet row for each event.

The order is correct → select objects → select events → weigh → fill, under each variation; the rows are those of the
nominal events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import awkward as ak
import numpy as np

from ..corrections.systematics import NOMINAL
from ..histograms.filler import Filler
from ..histograms.specification import Histogram
from ..outputs.columns import table
from ..selections import electrons, muons
from ..selections.branches import branches_of
from ..selections.cut_manager import CutManager
from ..selections.electrons import ElectronSelection, good_electrons
from ..selections.jets import JetSelection, away_from, good_jets
from ..selections.muons import MuonSelection, good_muons
from ..selections.pairs import four_leptons, leading
from . import base, cms_events
from .cms_analysis import CmsAnalysis, CmsParameters
from .cms_events import event_cuts
from .cms_factors import EventFactors, Leptons
from .cms_objects import UNCORRECTED, CorrectedObjects
from .cms_requirements import Reads, requirements
from .cms_weights import Counters, EventWeights
from .requirements import Requirement

#: Region → how many electrons and muons; an event is in the first for which it has enough leptons.
CHANNELS = {"4mu": (0, 4), "4e": (4, 0), "2e2mu": (2, 2)}
HISTOGRAMS = (
    Histogram(name="mass_four_lepton", label=r"$m_{4\ell}$", unit="GeV", bins=55, start=70, stop=345),
    Histogram(name="mass_z1", label=r"$m_{Z1}$", unit="GeV", bins=54, start=12, stop=120),
    Histogram(name="mass_z2", label=r"$m_{Z2}$", unit="GeV", bins=54, start=12, stop=120),
    Histogram(name="lepton_pt", label=r"lepton $p_T$", unit="GeV", bins=50, start=0, stop=150),
    Histogram(name="n_jets", label="jets", bins=8, start=0, stop=8),
)
#: Tried where no era says which triggers were unprescaled; a path that a file lacks has not fired.
TRIGGERS = (
    *("HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL", "HLT_Mu17_TrkIsoVVL_TkMu8_TrkIsoVVL"),
    *("HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ", "HLT_Mu17_TrkIsoVVL_TkMu8_TrkIsoVVL_DZ"),
    *("HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8", "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass8"),
    *("HLT_IsoMu24", "HLT_IsoTkMu24", "HLT_IsoMu27"),
    *("HLT_Ele27_WPTight_Gsf", "HLT_Ele32_WPTight_Gsf", "HLT_Ele23_Ele12_CaloIdL_TrackIdL_IsoVL_DZ"),
)
#: Columns of each of the four leptons; GeV and cm.
LEPTON_COLUMNS = ("pt", "eta", "phi", "mass", "charge", "dxy", "dz")
ELECTRON, MUON = 11, 13


class FourLeptonParameters(CmsParameters):
    """Thresholds of the four-lepton analysis; momenta in GeV, distances in cm."""

    muon: MuonSelection = MuonSelection(
        min_pt=5.0, identification="loose", isolation="very_loose", max_dxy=0.5, max_dz=1.0, max_sip3d=4.0
    )
    electron: ElectronSelection = ElectronSelection(
        min_pt=7.0,
        identification="loose",
        veto_gap=False,
        max_dxy_barrel=0.5,
        max_dz_barrel=1.0,
        max_dxy_endcap=0.5,
        max_dz_endcap=1.0,
        max_sip3d=4.0,
    )
    jet: JetSelection = JetSelection(max_abs_eta=4.7)
    #: Channels to look for; 4mu alone does not need electrons.
    channels: tuple[str, ...] = tuple(CHANNELS)
    count_jets: bool = True
    #: Keep only events whose leptons make two pairs of one flavour and opposite charge.
    two_pairs: bool = False
    corrections: tuple[str, ...] = (
        *("pileup", "prefiring", "muon_reco", "muon_id", "muon_momentum", "electron_reco", "electron_id"),
        *("electron_energy", "jet_id", "parton_shower", "qcd_scale", "pdf"),
    )


class _Candidates(NamedTuple):
    """The selected leptons of a channel: ``rows`` are events, the columns of leptons ``[rows, 4]``."""

    rows: np.ndarray
    leptons: Mapping[str, np.ndarray]
    four: Any
    n_jets: np.ndarray


class FourLepton(CmsAnalysis):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = FourLeptonParameters
    parameters: FourLeptonParameters

    def __init__(
        self, parameters: FourLeptonParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        self.regions = tuple(name for name in CHANNELS if name in self.parameters.channels)
        self.histograms = tuple(one for one in HISTOGRAMS if self.parameters.count_jets or one.name != "n_jets")

    @property
    def cuts(self) -> tuple[str, ...]:
        """The cuts in order."""
        last = ("two_pairs",) if self.parameters.two_pairs else ()
        return ("certified", "met_filters", "trigger", "four_leptons", *last)

    @property
    def with_electrons(self) -> bool:
        """Whether any channel has electrons."""
        return any(CHANNELS[region][0] for region in self.regions)

    @classmethod
    def corrections(cls, parameters: FourLeptonParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        points: dict[str, str | None] = {
            "muon_id": parameters.muon.identification,
            "electron_id": parameters.electron.identification,
        }
        electrons_too = any(CHANNELS[name][0] for name in parameters.channels if name in CHANNELS)
        idle = {
            "muon_id": parameters.muon.identification == "none",
            "electron_id": parameters.electron.identification == "none" or not electrons_too,
            "electron_reco": not electrons_too,
            "electron_energy": not electrons_too,
            "jet_id": not parameters.count_jets,
            "jet_energy": not parameters.count_jets,
        }
        return cls.with_file({name: points.get(name) for name in parameters.corrections if not idle.get(name, False)})

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        leptons = {"Muon": True, "Electron": self.with_electrons}
        columns = {f"columns of {name}": branches_of(name, LEPTON_COLUMNS) for name, used in leptons.items() if used}
        reads = Reads(
            paths=self.triggers(era),
            paths_are_known=self.triggers(era) is not TRIGGERS,
            met_filters=chosen.met_filters,
            muon=chosen.muon,
            electron=chosen.electron if self.with_electrons else None,
            jet=chosen.jet if chosen.count_jets else None,
            others=columns,
            corrections=self.applied_in(era),
            systematics=self.systematics(era),
        )
        return requirements(kind, era, reads)

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen = self.parameters
        before = self.in_words(
            lambda era: cms_events.described(era, triggers=self.triggers(era), met_filters=chosen.met_filters)
        )
        cuts = {
            **before,
            "four_leptons": f"the leptons of a channel (the first of {', '.join(self.regions)}): muons with "
            f"{muons.described(chosen.muon)}, electrons with {electrons.described(chosen.electron)}; those of highest "
            "pt are kept",
            "two_pairs": "the leptons make two pairs of one flavour and opposite charge",
        }
        cuts = {name: cuts[name] for name in self.cuts}
        return self.recipe_of(cuts, {region: dict.fromkeys(self.cuts, True) for region in self.regions})

    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """Return the paths of which one must have fired."""
        if self.parameters.triggers is not None:
            return self.parameters.triggers
        kinds = ("double_muon", "single_muon", *(("single_electron",) if self.with_electrons else ()))
        return tuple(path for kind in kinds for path in era.triggers.get(kind, ())) or TRIGGERS

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        era = self.era_inputs(events)
        generator = base.generator_weight(events)
        counters: Counters = {}
        varied = self.varied(era, base.is_data(events), selected_by=("muons", "electrons", "jets"))
        corrected = CorrectedObjects(events, era, self.applied_in(era), varied.sources, counters)
        factors = EventFactors(events, era, self.applied_in(era), varied.weights, counters)
        filler = Filler(self.histograms, events.metadata["dataset"], regions=self.regions, variations=varied.all)
        before = event_cuts(events, era, counters, paths=self.triggers(era), met_filters=self.parameters.met_filters)
        result = factors.sums(generator)
        for variation in varied.shapes:
            found = self.candidates(corrected, variation)
            cuts = self.select(events, before, found)
            passed = cuts.events(self.cuts)
            kept = {region: one.rows[passed[one.rows]] for region, one in found.items()}
            if variation == NOMINAL:
                weight = np.zeros(len(events))
            for region, one in found.items():
                chosen = passed[one.rows]
                if variation == UNCORRECTED:
                    weights = EventWeights(generator[kept[region]])
                else:
                    leptons = _weighed(region, one, chosen)
                    weights = factors.weights(kept[region], generator, leptons, nominal=variation == NOMINAL)
                seen = self.observables(one, chosen)
                nominal = weights.nominal()
                filler.fill(seen, region=region, variation=variation, weight=nominal)
                if variation == NOMINAL:
                    weight[kept[region]] = nominal
                    entries = filler.entries(seen, region=region)
                    for name, values in weights.variations(varied.weights):
                        entries.fill(name, values)
            if variation == NOMINAL:
                result["cutflow"] = cuts.flow(generator, self.cuts)
                result["cutflow"]["corrections"] = base.yield_row(weight[passed])
                result["columns"] = _rows(events, found, passed, weight)
        return base.result(events, {**result, "hists": filler.histograms, "counters": counters})

    def candidates(self, corrected: CorrectedObjects, variation: str) -> dict[str, _Candidates]:
        """Return the leptons of each channel; an event is in the first channel for which it has enough leptons."""
        of = {"muon": (corrected.muons, corrected.muon_pt(variation))}
        good = {"muon": good_muons(corrected.muons, self.parameters.muon, pt=of["muon"][1])}
        if self.with_electrons:
            of["electron"] = (corrected.electrons, corrected.electron_pt(variation))
            good["electron"] = good_electrons(corrected.electrons, self.parameters.electron, pt=of["electron"][1])
        n_jets = self.jets(corrected, good, variation)
        taken = np.zeros(len(n_jets), dtype=bool)
        found = {}
        for region in self.regions:
            n_electrons, n_muons = CHANNELS[region]
            parts = []
            for flavour, n in (("muon", n_muons), ("electron", n_electrons)):
                if n:
                    rows, place = leading(of[flavour][0], good[flavour], of[flavour][1], n)
                    parts.append((flavour, rows, place))
            rows = parts[0][1] if len(parts) == 1 else np.intersect1d(parts[0][1], parts[1][1])
            rows = rows[~taken[rows]]
            taken[rows] = True
            columns = [
                _columns(flavour, *of[flavour], place[np.searchsorted(of_rows, rows)])
                for flavour, of_rows, place in parts
            ]
            leptons = _by_pt({name: np.concatenate([one[name] for one in columns], axis=1) for name in columns[0]})
            records = ak.zip({name: ak.Array(values) for name, values in leptons.items()})
            four = four_leptons(records, same_flavour=True)
            found[region] = _Candidates(rows, leptons, four, n_jets[rows])
        return found

    def jets(self, corrected: CorrectedObjects, good: Mapping[str, np.ndarray], variation: str) -> np.ndarray:
        """Return ``[events]`` the number of good jets away from all good leptons; zero if they are not counted."""
        n_events = len(corrected.muons.counts)
        if not self.parameters.count_jets:
            return np.zeros(n_events, dtype=int)
        selection = self.parameters.jet
        away = None
        if selection.min_delta_r is not None:
            away = away_from(corrected.jets, corrected.muons, selection.min_delta_r, good=good["muon"])
            if "electron" in good:
                away &= away_from(corrected.jets, corrected.electrons, selection.min_delta_r, good=good["electron"])
        mask = good_jets(
            corrected.jets,
            selection,
            pt=corrected.jet_pt(variation),
            identified=corrected.identified_jets(selection.identification),
            away_from=away,
        )
        return np.bincount(corrected.jets.event[mask], minlength=n_events)

    def select(self, events: Any, before: Mapping[str, np.ndarray], found: Mapping[str, _Candidates]) -> CutManager:
        """Return all cuts, ``[events]`` each."""
        selection = CutManager(len(events))
        for name, mask in before.items():
            selection.add(name, mask)
        four, pairs = np.zeros(len(events), dtype=bool), np.zeros(len(events), dtype=bool)
        for one in found.values():
            four[one.rows] = True
            pairs[one.rows] = ak.to_numpy(one.four.has_pairs)
        selection.add("four_leptons", four)
        selection.add("two_pairs", pairs)
        return selection

    def observables(self, one: _Candidates, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is filled of the ``chosen`` events of a channel; NaN of a candidate is in the overflow."""
        four = one.four[chosen]
        return {
            "mass_four_lepton": ak.to_numpy(four.mass),
            "mass_z1": ak.to_numpy(four.z1_mass),
            "mass_z2": ak.to_numpy(four.z2_mass),
            "lepton_pt": one.leptons["pt"][chosen],
            "n_jets": one.n_jets[chosen],
        }


def _columns(flavour: str, collection: Any, pt: np.ndarray, place: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of the leptons at ``place``, ``[rows, n]`` each, float64 but for whole numbers."""
    found = {name: (pt if name == "pt" else collection[name])[place].astype(np.float64) for name in LEPTON_COLUMNS}
    charge = found["charge"].astype(np.int32)
    of_supercluster = collection["deltaEtaSC"][place] if flavour == "electron" else 0.0
    return {
        **found,
        "charge": charge,
        "pdgId": (-charge * (ELECTRON if flavour == "electron" else MUON)).astype(np.int32),
        "eta_sc": found["eta"] + of_supercluster,
    }


def _by_pt(leptons: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the leptons of each event with the highest pt first."""
    order = np.argsort(-leptons["pt"], axis=1, kind="stable")
    return {name: np.take_along_axis(values, order, axis=1) for name, values in leptons.items()}


def _weighed(region: str, one: _Candidates, chosen: np.ndarray) -> dict[str, tuple[Leptons, ...]]:
    """Return the leptons whose scale factors weigh an event."""
    n_electrons, n_muons = CHANNELS[region]
    found = {}
    for collection, code, n in (("muons", MUON, n_muons), ("electrons", ELECTRON, n_electrons)):
        if n:
            of_flavour = np.abs(one.leptons["pdgId"][chosen]) == code
            columns = [one.leptons[name][chosen][of_flavour].reshape(-1, n) for name in ("pt", "eta_sc", "phi")]
            found[collection] = tuple(Leptons(*(column[:, place] for column in columns)) for place in range(n))
    return found


def _rows(events: Any, found: Mapping[str, _Candidates], passed: np.ndarray, weight: np.ndarray) -> list[ak.Array]:
    """Return one row per event in their order: identity, weight, channel, leptons, Z candidates, the four together."""
    rows = np.concatenate([one.rows[passed[one.rows]] for one in found.values()])
    order = np.argsort(rows, kind="stable")

    def joined(values: Any) -> np.ndarray:
        parts = [np.asarray(values(name, one))[passed[one.rows]] for name, one in found.items()]
        return np.concatenate(parts)[order]

    rows = rows[order]
    columns: dict[str, Any] = {
        "run": np.asarray(events.run)[rows],
        "luminosityBlock": np.asarray(events.luminosityBlock)[rows],
        "event": np.asarray(events.event)[rows],
        "weight": weight[rows],
        "n_electrons": joined(lambda name, one: np.full(len(one.rows), CHANNELS[name][0], np.int8)),
        "n_jets": joined(lambda _, one: one.n_jets.astype(np.int32)),
    }
    for number in range(4):
        for name in (*LEPTON_COLUMNS, "pdgId"):
            columns[f"lepton{number + 1}_{name}"] = joined(lambda _, one, n=name, k=number: one.leptons[n][:, k])
    for column, field in (
        *((name, name) for name in ("z1_mass", "z2_mass", "mass")),
        ("four_lepton_pt", "pt"),
        ("four_lepton_rapidity", "rapidity"),
    ):
        columns[column] = joined(lambda _, one, f=field: ak.to_numpy(one.four[f]))
    return table(**columns)
