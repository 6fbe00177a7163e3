"""Weights of parton shower, QCD scales and parton densities: orders, lengths, guards, and the real files."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoEventsFactory
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.corrections import systematics
from mucoffea.corrections.theory_titles import lha_ids, pdf_set, scale_positions, title_of
from mucoffea.corrections.theory_weights import QCD_SCALES, parton_shower, pdf, qcd_scale, run_sums
from mucoffea.errors import UserError
from mucoffea.schemas.nanoaod import NanoAOD
from scipy.stats import spearmanr

ignore_doubles = pytest.mark.filterwarnings("ignore:Branch .* already exists:RuntimeWarning")
#: Each weight says which point it is: 10 muR + muF.
POINTS = [10 * mu_r + mu_f for mu_r in (0.5, 1, 2) for mu_f in (0.5, 1, 2)]
UL_TITLE = "LHE scale variation weights (w_var / w_nominal); " + "; ".join(
    f"[{place}] is renscfact={r}d0 facscfact={f}d0 "
    for place, (r, f) in enumerate((r, f) for r in ("0.5", "1", "2") for f in ("0.5", "1", "2"))
)


def rows(*weights: list[float]) -> ak.Array:
    return ak.Array([list(row) for row in weights])


def read(real: Path, name: str):
    file = {str(real / "nanoaod" / f"{name}.root"): "Events"}
    return NanoEventsFactory.from_root(file, schemaclass=NanoAOD, mode="virtual").events()


def test_the_names_are_those_that_are_declared():
    found = {
        *parton_shower(rows([1.0] * 4), run=2).variations,
        *qcd_scale(rows([1.0] * 9)).variations,
        *pdf(rows([1.0] * 103)).variations,
    }
    names = ("ps_isr", "ps_fsr", "qcd_scale", "pdf", "pdf_replicas", "pdf_alphas")
    assert found == {one for name in names for one in systematics.sources()[name].variations}


@pytest.mark.parametrize("title", ["", UL_TITLE, "nothing useful"])
@pytest.mark.parametrize("length", [8, 9])
def test_each_scale_weight_is_at_its_place(length: int, title: str):
    values = [point for point in POINTS if length == 9 or point != 11]
    nominal = 11 if length == 9 else 1
    factor = qcd_scale(rows(values, values), title=title)
    for name, (mu_r, mu_f) in QCD_SCALES.items():
        np.testing.assert_allclose(factor.variations[name], [(10 * mu_r + mu_f) / nominal] * 2)
    assert factor.out_of_range == 0
    assert factor.nominal.tolist() == [1.0, 1.0]


def test_a_title_with_another_order_counts():
    points = [(r, f) for f in (0.5, 1.0, 2.0) for r in (0.5, 1.0, 2.0)]
    title = "; ".join(f'[{place}] is MUF="{f}" MUR="{r}"' for place, (r, f) in enumerate(points))
    factor = qcd_scale(rows([10 * r + f for r, f in points]), title=title)
    for name, (mu_r, mu_f) in QCD_SCALES.items():
        assert factor.variations[name][0] == pytest.approx((10 * mu_r + mu_f) / 11)
    assert scale_positions(title, 8) is None
    assert scale_positions(title.replace("[8]", "[7]"), 9) is None


def test_shower_weights_are_up_where_there_is_more_radiation():
    two, three = (parton_shower(rows([1.0, 2.0, 3.0, 4.0]), run=run).variations for run in (2, 3))
    assert [two[name][0] for name in ("ps_isrUp", "ps_fsrUp", "ps_isrDown", "ps_fsrDown")] == [1, 2, 3, 4]
    assert [three[name][0] for name in ("ps_isrUp", "ps_fsrUp", "ps_isrDown", "ps_fsrDown")] == [3, 4, 1, 2]


def test_one_shower_weight_is_no_variation_and_is_said():
    factor = parton_shower(rows([1.0], [1.0]), run=2)
    assert [values.tolist() for values in factor.variations.values()] == [[1.0, 1.0]] * 4
    assert factor.out_of_range == 2


@pytest.mark.parametrize(
    ("function", "length", "message"),
    [
        (lambda w: parton_shower(w, run=2), 44, "44 weights in PSWeight"),
        (qcd_scale, 44, "44 weights in LHEScaleWeight; known are 9"),
        (qcd_scale, 18, "18 weights"),
        (pdf, 58, "58 weights in LHEPdfWeight; known are 30, 31, 32"),
    ],
)
def test_an_unknown_number_of_weights_is_an_error_that_names_it(function, length: int, message: str):
    with pytest.raises(UserError, match=message):
        function(rows([1.0] * length))


@pytest.mark.parametrize(
    ("length", "nominal", "members", "alphas"),
    [
        (103, 1, 100, 1),
        (102, 0, 100, 1),
        (101, 1, 100, 0),
        (100, 0, 100, 0),
        (33, 1, 30, 1),
        (31, 1, 30, 0),
        (43, 1, 40, 1),
    ],
)
def test_members_of_densities(length: int, nominal: int, members: int, alphas: int):
    values = [2.0] * nominal + [2.0 + 0.01 * k for k in range(1, members + 1)] + [1.5, 2.5] * alphas
    assert len(values) == length
    divisor = 2.0 if nominal else 1.0
    found = {name: one[0] for name, one in pdf(rows(values)).variations.items()}
    for k in range(1, 101):
        assert found[f"pdf{k:03d}"] == pytest.approx((2 + 0.01 * k) / divisor if k <= members else 1.0)
        assert found[f"pdf_replicas{k:03d}"] == 1.0
    expected = (1.5 / divisor, 2.5 / divisor) if alphas else (1.0, 1.0)
    assert (found["pdf_alphasDown"], found["pdf_alphasUp"]) == pytest.approx(expected)


def test_replicas_combine_like_eigenvectors_to_their_standard_deviation():
    weights = 1 + 0.05 * np.random.default_rng(5).standard_normal((1, 100))
    weights += 1 - weights.mean()  # the nominal member of a set of replicas is their mean
    factor = pdf(np.column_stack([np.ones(1), weights]), kind="replicas").variations
    shifts = [factor[f"pdf{k:03d}"][0] - 1 for k in range(1, 101)]
    assert np.sqrt(np.sum(np.square(shifts))) == pytest.approx(weights.std(ddof=1), rel=1e-12)
    assert [factor[f"pdf_replicas{k:03d}"][0] for k in range(1, 101)] == pytest.approx(weights[0].tolist())


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("LHE pdf variation weights (w_var / w_nominal) for LHA IDs 306000 - 306102", "hessian"),
        ("LHE pdf variation weights (w_var / w_nominal) for LHA IDs 292201 - 292302", "replicas"),
        ("LHE pdf variation weights (w_var / w_nominal) for LHA IDs 91400 - 91432", "hessian"),
    ],
)
def test_the_title_tells_the_kind(title: str, kind: str):
    ids = lha_ids(title)
    assert ids is not None
    known = pdf_set(ids[0])
    assert known is not None
    assert known.kind == kind
    assert lha_ids("dummy") is None
    assert pdf_set(1) is None
    with pytest.raises(UserError, match="do not fit together"):
        pdf(rows([1.0] * (102 if ids[0] == known.first else 103)), title=title)


def test_zero_nan_and_missing_weights_are_one_and_counted():
    good = [0.5] * 4 + [1.0] + [2.0] * 4
    factor = qcd_scale(rows(good, [], [*good[:4], 0.0, *good[5:]], [np.nan, *good[1:]], [np.inf, *good[1:]], good))
    assert factor.out_of_range == 4
    for name, (mu_r, mu_f) in QCD_SCALES.items():
        shifted = 0.5 if (mu_r, mu_f) < (1, 1) else 2.0
        assert factor.variations[name].tolist() == [shifted, 1.0, 1.0, 1.0, 1.0, shifted]
    assert pdf(ak.Array([[], []])[:, :0]).out_of_range == 2
    empty = pdf(rows([1.0] * 103)[:0])
    assert len(empty.nominal) == len(empty.variations["pdf001"]) == empty.out_of_range == 0


@given(st.lists(st.sampled_from([0, 8, 9]), min_size=1, max_size=30), st.integers(0, 2**31))
def test_events_do_not_depend_on_their_neighbours(lengths: list[int], seed: int):
    random = np.random.default_rng(seed)
    weights = ak.Array([random.uniform(0.5, 2, length).tolist() for length in lengths])
    together = qcd_scale(weights)
    for k in range(len(lengths)):
        alone = qcd_scale(weights[k : k + 1])
        for name in QCD_SCALES:
            assert together.variations[name][k] == alone.variations[name][0]
    assert together.out_of_range == lengths.count(0)


def test_sums_of_the_runs_tree_are_one_more_event():
    found = run_sums(scale=POINTS, pdf_members=[1.0] * 103, shower=[1.0, 2.0, 3.0, 4.0], run=3)
    assert found["qcd_scaleMuRUp"] == pytest.approx(21 / 11)
    assert found["ps_isrUp"] == 3.0
    assert found["pdf100"] == 1.0
    assert run_sums(run=2) == {}
    assert run_sums(scale=[0.0] * 9, shower=[1.0], pdf_members=[1.0] * 77, run=2) == {}
    assert run_sums(scale=[43.0] * 8, run=2) == {}
    assert run_sums(scale=[43.0] * 9, run=2)["qcd_scaleMuRUp"] == 1.0
    replicas = "LHE pdf variation weights (w_var / w_nominal) for LHA IDs 292201 - 292302"
    assert run_sums(pdf_members=[1.1] * 102, pdf_title=replicas, run=2)["pdf001"] == pytest.approx(1 + 0.1 / 99**0.5)


@ignore_doubles
@pytest.mark.parametrize(
    ("name", "kind", "first", "shower"),
    [
        ("nano_dy", "hessian", 91400, True),
        ("nano_tt_v12", None, None, True),
        ("nanoAOD_2015_CMS_Open_Data_ttbar", "replicas", 292201, False),
    ],
)
def test_real_files(real: Path, name: str, kind: str | None, first: int | None, shower: bool):
    events = read(real, name)
    ids = lha_ids(title_of(events.LHEPdfWeight))
    assert (ids and ids[0]) == first
    densities = pdf(events.LHEPdfWeight)
    raw = ak.to_numpy(events.LHEPdfWeight).astype(np.float64)
    if first == 292201:  # 102 weights, without the nominal member
        expected = 1 + (raw[:, 0] - 1) / np.sqrt(99)
        np.testing.assert_array_equal(densities.variations["pdf_replicas001"], raw[:, 0])
    else:
        expected = raw[:, 1] / raw[:, 0]
    np.testing.assert_allclose(densities.variations["pdf001"], expected, rtol=1e-14)
    assert densities.out_of_range == 0
    scales = qcd_scale(events.LHEScaleWeight)
    raw = ak.to_numpy(events.LHEScaleWeight).astype(np.float64)
    np.testing.assert_allclose(scales.variations["qcd_scaleMuRUp_MuFUp"], raw[:, 8] / raw[:, 4], rtol=1e-14)
    np.testing.assert_allclose(scales.variations["qcd_scaleMuFDown"], raw[:, 3] / raw[:, 4], rtol=1e-14)
    assert parton_shower(events.PSWeight, run=2).out_of_range == (0 if shower else len(events))


@ignore_doubles
@pytest.mark.parametrize(("name", "run"), [("nano_dy", 2), ("nano_tt_v12", 3)])
def test_more_radiation_has_the_larger_spread_and_more_jets(real: Path, name: str, run: int):
    # A weight is a product over emissions of α_s(varied)/α_s, which is further from 1 where α_s is larger.
    events = read(real, name)
    found = parton_shower(events.PSWeight, run=run).variations
    for source in ("ps_isr", "ps_fsr"):
        up, down = found[f"{source}Up"], found[f"{source}Down"]
        assert up.std() > 1.3 * down.std()
    n_jets = ak.to_numpy(ak.num(events.Jet if run == 2 else events.GenJet))
    assert spearmanr(n_jets, found["ps_isrUp"]).statistic > 0.2
    assert spearmanr(n_jets, found["ps_isrDown"]).statistic < -0.2
