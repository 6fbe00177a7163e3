"""b tagging: thresholds, weights of working points and of the shape, against correctionlib by hand, and closure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import correctionlib.schemav2 as schema
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.corrections import btagging, catalogue, loading, systematics
from mucoffea.corrections.btagging import BJets
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord, working_points
from mucoffea.errors import UserError

FOLDERS = {"2018": "2018_UL", "2022postEE": "2022_Summer22EE"}
#: Real simulation of the era, or of one whose jets have the same columns.
FILES = {"2018": "nanoAOD_2015_CMS_Open_Data_ttbar", "2022postEE": "nano_tt_v12"}


def record(real: Path, name: str, era: str, point: str | None = None) -> CorrectionRecord:
    return Catalogue([real / "pog"]).resolve(name, era=era, pog_folders=[FOLDERS[era]], working_point=point)


def table(folder: Path, key: str, value: dict[int, float]) -> CorrectionRecord:
    """Return a record of efficiencies that depend on the flavour alone."""
    flavours = [schema.CategoryItem(key=flavour, value=one) for flavour, one in value.items()]
    correction = schema.Correction(
        name=key,
        version=1,
        inputs=[
            schema.Variable(name=name, type=kind)
            for name, kind in (("systematic", "string"), ("flavor", "int"), ("abseta", "real"), ("pt", "real"))
        ],
        output=schema.Variable(name="efficiency", type="real"),
        data=schema.Category(
            nodetype="category",
            input="systematic",
            content=[
                schema.CategoryItem(
                    key="nominal", value=schema.Category(nodetype="category", input="flavor", content=flavours)
                )
            ],
        ),
    )
    path = folder / "btag_efficiency.json"
    path.write_text(
        schema.CorrectionSet(schema_version=2, corrections=[correction]).model_dump_json(exclude_unset=True)
    )
    return CorrectionRecord(
        name="btag_efficiency", pog="BTV", era="2018", working_point="medium", path=path, keys={"value": key},
        sha256="", version=1,
    )  # fmt: skip


def some_jets(n_events: int, seed: int = 1, low: float = 0.0) -> BJets:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, n_events)
    n = int(counts.sum())
    return BJets(
        pt=20 + rng.exponential(60, n),
        abseta=rng.uniform(0, 2.4, n),
        flavour=rng.choice([0, 4, 5], n, p=[0.5, 0.1, 0.4]),
        discriminant=rng.uniform(low, 1, n),
        event=np.repeat(np.arange(n_events), counts),
        n_events=n_events,
    )


def real_jets(real: Path, found: CorrectionRecord) -> Any:
    with uproot.open(real / "nanoaod" / f"{FILES[found.era]}.root") as file:
        arrays = file["Events"].arrays(btagging.branches(found))
    jets = ak.zip({name.removeprefix("Jet_"): arrays[name] for name in arrays.fields})
    return jets[(jets.pt > 25) & (abs(jets.eta) < 2.4)]


def test_golden_thresholds(real: Path) -> None:
    # deepJet_wp_values of BTV/2018_UL, particleNet_wp_values and the others of BTV/2022_Summer22EE.
    expected = {
        ("2018", "loose"): 0.049, ("2018", "medium"): 0.2783, ("2018", "tight"): 0.71,
        ("2022postEE", "medium"): 0.2605, ("2022postEE", "xxtight"): 0.9664,
        ("2022postEE", "deepjet_medium"): 0.3196, ("2022postEE", "robust_medium"): 0.451,
    }  # fmt: skip
    for (era, point), value in expected.items():
        assert btagging.threshold(record(real, "btag", era, point)) == value


@pytest.mark.parametrize("era", FOLDERS)
def test_every_working_point_and_every_key_of_the_real_files(real: Path, era: str) -> None:
    path = record(real, "btag", era).path
    used = set()
    for name in ("btag", "btag_shape"):
        for point in working_points(name, era):
            used |= set(record(real, name, era, point).keys.values())
    known = set(loading.keys(path))
    # DeepCSV is the older tagger of 2018.
    assert {key for key in known - used if not key.startswith("deepCSV")} == set()
    for key in known:
        assert loading.correction(path, key).version >= 0


@pytest.mark.parametrize(
    ("era", "point"),
    [("2018", "medium"), ("2018", "tight_mujets"), ("2022postEE", "medium"), ("2022postEE", "robust_loose")],
)
def test_weight_equals_correctionlib_by_hand_on_real_jets(real: Path, tmp_path: Path, era: str, point: str) -> None:
    found = record(real, "btag", era, point)
    eff = {0: 0.02, 4: 0.2, 5: 0.75}
    tagger, letter = btagging.tagger(found), found.fixed["working_point"]
    efficiency = table(tmp_path, f"{tagger}_{letter}", eff)
    jets = real_jets(real, found)
    result = btagging.fixed_point_weight(found, efficiency, btagging.selected(found, jets))
    file = correctionlib.CorrectionSet.from_file(str(found.path))
    cut = file[f"{tagger}_wp_values"].evaluate(letter)

    def by_hand(heavy: str, light: str) -> list[float]:
        weights = []
        for event in jets:
            weight = 1.0
            for jet in event:
                flavour = int(jet.hadronFlavour)
                key, name = (found.keys["light"], light) if flavour == 0 else (found.keys["bc"], heavy)
                sf = file[key].evaluate(name, letter, flavour, abs(float(jet.eta)), float(jet.pt))
                one = eff[flavour]
                weight *= sf if jet[btagging.discriminant(found)] > cut else (1 - sf * one) / (1 - one)
            weights.append(weight)
        return weights

    assert ak.sum(ak.num(jets)) > 100
    np.testing.assert_allclose(result.nominal, by_hand("central", "central"), rtol=1e-9)
    np.testing.assert_allclose(result.variations["btag_bcUp"], by_hand("up_correlated", "central"), rtol=1e-9)
    np.testing.assert_allclose(result.variations["btag_bc_eraDown"], by_hand("down_uncorrelated", "central"), rtol=1e-9)
    light = "down_correlated" if era == "2018" else "down"
    np.testing.assert_allclose(result.variations["btag_lightDown"], by_hand("central", light), rtol=1e-9)
    assert ("btag_light_eraUp" in result.variations) == (era == "2018")
    assert result.out_of_range == 0


def test_every_working_point_has_an_efficiency_of_its_own_name() -> None:
    for era in catalogue.eras("btag"):
        assert set(working_points("btag", era)) == set(working_points("btag_efficiency", era))
    assert set(catalogue.eras("btag")) == set(catalogue.eras("btag_efficiency"))


def test_variations_are_those_that_are_declared(real: Path, tmp_path: Path) -> None:
    declared = {name for name, one in systematics.sources().items() if one.correction in ("btag", "btag_shape")}
    found, shape = record(real, "btag", "2018"), record(real, "btag_shape", "2018")
    efficiency = table(tmp_path, "deepJet_M", {0: 0.02, 4: 0.2, 5: 0.75})
    given = {
        *btagging.fixed_point_weight(found, efficiency, some_jets(50)).variations,
        *btagging.shape_weight(shape, some_jets(50)).variations,
    }
    assert {f"{name}{way}" for name in declared for way in ("Up", "Down")} == given


def test_variation_moves_its_own_flavours_alone(real: Path, tmp_path: Path) -> None:
    found = record(real, "btag", "2018")
    efficiency = table(tmp_path, "deepJet_M", {0: 0.02, 4: 0.2, 5: 0.75})
    jets = some_jets(400)
    result = btagging.fixed_point_weight(found, efficiency, jets)
    has = {
        part: np.bincount(jets.event, weights=mask, minlength=400) > 0
        for part, mask in (("light", jets.flavour == 0), ("bc", jets.flavour > 0))
    }
    for part, other in (("light", "bc"), ("bc", "light")):
        moved = result.variations[f"btag_{part}Up"] != result.nominal
        assert moved[has[part]].all()
        assert not moved[~has[part] & has[other]].any()


@pytest.mark.parametrize("era", FOLDERS)
def test_shape_equals_correctionlib_by_hand_on_real_jets(real: Path, era: str) -> None:
    found = record(real, "btag_shape", era)
    jets = real_jets(real, found)
    flat = btagging.selected(found, jets)
    result = btagging.shape_weight(found, flat)
    one = correctionlib.CorrectionSet.from_file(str(found.path))[found.key]

    def by_hand(name: str, flavours: tuple[int, ...]) -> np.ndarray:
        weight = np.ones(flat.n_events)
        for i in range(len(flat.pt)):
            if era == "2022postEE" and flat.discriminant[i] < 0:
                continue
            flavour = int(flat.flavour[i])
            systematic = name if flavour in flavours else "central"
            weight[flat.event[i]] *= one.evaluate(systematic, flavour, flat.abseta[i], flat.pt[i], flat.discriminant[i])
        return weight

    np.testing.assert_allclose(result.nominal, by_hand("central", ()), rtol=1e-9)
    np.testing.assert_allclose(result.variations["btag_shape_hfUp"], by_hand("up_hf", (0, 5)), rtol=1e-9)
    np.testing.assert_allclose(
        result.variations["btag_shape_lfstats2Down"], by_hand("down_lfstats2", (0, 5)), rtol=1e-9
    )
    np.testing.assert_allclose(result.variations["btag_shape_cferr1Up"], by_hand("up_cferr1", (4,)), rtol=1e-9)
    varied = btagging.shape_weight(found, flat, variation="jet_energy_scaleDown")
    np.testing.assert_allclose(varied.nominal, by_hand("down_jes", (0, 5)), rtol=1e-9)
    assert varied.variations == {}


def test_shape_follows_the_sources_of_the_jet_energy_scale(real: Path) -> None:
    run2, run3 = record(real, "btag_shape", "2018"), record(real, "btag_shape", "2022postEE")
    assert btagging.jes_systematic(run2, "jet_energy_scaleUp") == "up_jes"
    assert btagging.jes_systematic(run2, "jet_energy_scale_FlavorQCDDown") == "down_jesFlavorQCD"
    assert btagging.jes_systematic(run2, "jet_energy_scale_BBEC1_eraDown") == "down_jesBBEC1_2018"
    assert btagging.jes_systematic(run2, "jet_energy_scale_BBEC1Down") == "down_jesBBEC1"
    assert btagging.jes_systematic(run3, "jet_energy_scale_BBEC1_eraDown") == "central"
    assert btagging.jes_systematic(run3, "jet_energy_resolutionUp") == "central"
    for name in ("muon_scaleUp", "jet_energy_scale"):
        with pytest.raises(UserError, match="no variation of jets"):
            btagging.jes_systematic(run2, name)


def test_every_source_of_the_jet_energy_scale_is_in_the_shape_of_2018(real: Path) -> None:
    run2 = record(real, "btag_shape", "2018")
    names = [name for name in systematics.sources() if name.startswith("jet_energy_scale")]
    assert len(names) > 10
    missing = [name for name in names if btagging.jes_systematic(run2, f"{name}Up") == "central"]
    assert missing == []


def test_discriminants_outside_are_counted_in_run_3_and_clamped_by_the_file_in_run_2(real: Path) -> None:
    jets = some_jets(200)._replace(discriminant=np.full(len(some_jets(200).pt), -1.0))
    run3 = btagging.shape_weight(record(real, "btag_shape", "2022postEE"), jets)
    assert run3.out_of_range == len(jets.pt)
    assert (run3.nominal == 1).all()
    run2 = btagging.shape_weight(record(real, "btag_shape", "2018"), jets)
    assert run2.out_of_range == 0
    assert (run2.nominal != 1).any()


def test_jets_beyond_the_tracker_have_no_weight_and_are_counted(real: Path, tmp_path: Path) -> None:
    found, efficiency = record(real, "btag", "2018"), table(tmp_path, "deepJet_M", {0: 0.02, 4: 0.2, 5: 0.75})
    jets = some_jets(200)
    far = jets._replace(abseta=np.full(len(jets.pt), 2.7), discriminant=np.zeros(len(jets.pt)))
    # The table of the efficiency does not know where the tracker ends: the factor of the file does.
    result = btagging.fixed_point_weight(found, efficiency, far)
    assert result.out_of_range == len(jets.pt)
    np.testing.assert_allclose(result.nominal, 1.0)
    assert (btagging.shape_weight(record(real, "btag_shape", "2018"), far).nominal == 1).all()


def test_efficiency_of_zero_and_one(real: Path, tmp_path: Path) -> None:
    found = record(real, "btag", "2018")
    efficiency = table(tmp_path, "deepJet_M", {0: 0.0, 4: 1.0, 5: 0.999})
    jets = BJets(
        np.full(4, 60.0), np.full(4, 1.0), np.array([0, 4, 4, 5]), np.array([0.0, 0.0, 0.9, 0.0]), np.arange(4), 4
    )
    result = btagging.fixed_point_weight(found, efficiency, jets)
    assert np.isfinite(result.nominal).all()
    assert result.nominal[0] == 1.0  # never tagged, not tagged
    assert result.nominal[1] == 1.0  # always tagged, not tagged: there is no such factor
    assert result.nominal[2] > 0.8  # always tagged, tagged: the scale factor
    assert result.out_of_range == 1
    assert all(np.isfinite(one).all() and (one >= 0).all() for one in result.variations.values())


def test_weights_are_never_negative_and_that_is_counted() -> None:
    factor, undefined, negative = btagging._method_1a(
        np.array([1.2, 1.2, 1.2]), np.array([0.9, 0.9, 0.5]), np.array([False, True, False])
    )
    np.testing.assert_allclose(factor, [0.0, 1.2, 0.4 / 0.5])
    assert negative == 1
    assert not undefined.any()


@given(st.floats(0.0, 1.0), st.floats(0.3, 2.0))
@settings(max_examples=200, deadline=None)
def test_a_factor_is_finite_and_its_mean_is_one(efficiency: float, sf: float) -> None:
    both = np.array([True, False])
    factor, undefined, negative = btagging._method_1a(np.full(2, sf), np.full(2, efficiency), both)
    assert np.isfinite(factor).all()
    assert (factor >= 0).all()
    if not undefined.any() and not negative:
        np.testing.assert_allclose(efficiency * factor[0] + (1 - efficiency) * factor[1], 1.0, rtol=1e-9)


def test_efficiency_of_another_working_point_is_refused(real: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not that of deepJet, working point T"):
        btagging.fixed_point_weight(
            record(real, "btag", "2018", "tight"), table(tmp_path, "deepJet_M", {0: 0.1}), some_jets(3)
        )


def test_impossible_efficiency_is_refused(real: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not between 0 and 1"):
        btagging.efficiencies(table(tmp_path, "deepJet_M", {0: 0.1, 4: 0.1, 5: 1.1}), some_jets(30))


def test_flavours_and_shapes_of_jets(real: Path) -> None:
    found = record(real, "btag", "2018")
    columns = {"pt": [50.0], "eta": [0.1], "hadronFlavour": [21], "btagDeepFlavB": [0.5]}
    with pytest.raises(ValueError, match=r"not \[21\]"):
        btagging.selected(found, {name: ak.Array([one]) for name, one in columns.items()})
    with pytest.raises(ValueError, match="number of events"):
        btagging.selected(found, {name: np.array(one) for name, one in columns.items()}, event=np.zeros(1, int))


def test_flat_and_jagged_jets_are_the_same(real: Path) -> None:
    found = record(real, "btag", "2018")
    jets = real_jets(real, found)
    one = btagging.selected(found, jets)
    flat = {name: ak.to_numpy(ak.flatten(jets[name])) for name in jets.fields}
    other = btagging.selected(found, flat, event=one.event, n_events=len(jets))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
    assert btagging.tagged(found, jets).ndim == 2
    scaled = btagging.selected(found, jets, pt=jets.pt * 1.1)
    np.testing.assert_allclose(scaled.pt, one.pt * 1.1, rtol=1e-6)


def test_events_without_jets_weigh_one(real: Path, tmp_path: Path) -> None:
    found, efficiency = record(real, "btag", "2018"), table(tmp_path, "deepJet_M", {0: 0.02, 4: 0.2, 5: 0.75})
    nothing = BJets(*(np.zeros(0) for _ in range(2)), np.zeros(0, int), np.zeros(0), np.zeros(0, int), 3)  # type: ignore[arg-type]
    assert btagging.fixed_point_weight(found, efficiency, nothing).nominal.tolist() == [1, 1, 1]
    assert btagging.shape_weight(record(real, "btag_shape", "2018"), nothing).nominal.tolist() == [1, 1, 1]


def test_closure_of_working_points(real: Path, tmp_path: Path) -> None:
    """Data are tagged with SF × ε, simulation with ε: the weights undo the difference in the number of tags."""
    found, eff = record(real, "btag", "2018"), {0: 0.05, 4: 0.2, 5: 0.7}
    efficiency, n_events = table(tmp_path, "deepJet_M", eff), 60_000
    cut = btagging.threshold(found)
    jets, rng = some_jets(n_events, seed=11), np.random.default_rng(12)
    # The factors of b and of light jets go opposite ways, and nearly cancel in the number of tags: few light jets.
    jets = jets._replace(flavour=np.where((jets.flavour == 0) & (jets.pt > 30), 5, jets.flavour))
    of_jet = np.vectorize(eff.get)(jets.flavour)
    sf, beyond, _ = btagging._scale_factors(found, jets, {"bc": "central", "light": "central"})
    assert beyond == 0

    def tags(probability: np.ndarray) -> np.ndarray:
        return rng.random(len(probability)) < probability

    data, simulation = tags(sf * of_jet), tags(of_jet)
    n_data, n_simulation = (
        np.bincount(jets.event, weights=one, minlength=n_events).astype(int) for one in (data, simulation)
    )
    weighed = btagging.fixed_point_weight(
        found, efficiency, jets._replace(discriminant=np.where(simulation, cut + 0.1, 0.0))
    )
    assert weighed.out_of_range == weighed.clamped == 0

    def chi2(weight: np.ndarray) -> float:
        observed = np.bincount(n_data, minlength=6).astype(float)
        expected, squares = (np.bincount(n_simulation, weights=one, minlength=6) for one in (weight, weight**2))
        used = observed > 20
        return float((((observed - expected) ** 2) / (observed + squares))[used].sum())

    # 6 classes: below 16.7 in 99 % of cases.
    assert chi2(weighed.nominal) < 16.7
    assert chi2(np.ones(n_events)) > 50
    # Σ weights is conserved, within its own error.
    error = np.sqrt(((weighed.nominal - 1) ** 2).sum())
    assert abs(weighed.nominal.sum() - n_events) < 3 * error


def test_normalisation_of_the_shape_restores_the_sum_of_weights(real: Path) -> None:
    found, jets = record(real, "btag_shape", "2018"), some_jets(5000)
    factor = btagging.shape_weight(found, jets).nominal
    n_jets = np.bincount(jets.event, minlength=5000)
    weight = np.random.default_rng(3).normal(1, 0.2, 5000)
    norm = btagging.normalisation(weight, factor, n_jets)
    assert abs((weight * factor).sum() / weight.sum() - 1) > 0.01
    for count in range(6):
        chosen = n_jets == count
        np.testing.assert_allclose((weight * factor * norm[n_jets])[chosen].sum(), weight[chosen].sum())
    assert norm[7] == 1
