"""Declared histograms: validation, filling against numpy, and files that read back."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.histograms import Histogram
from mucoffea.histograms.filler import Filler
from mucoffea.histograms.storage import read_hdf5, slices, write_hdf5
from pydantic import ValidationError

MASS = Histogram(name="mass", label="$m$", unit="GeV", bins=4, start=0, stop=4)


@pytest.mark.parametrize(
    "binning",
    [
        {},
        {"bins": 3},
        {"bins": 3, "start": 0, "stop": 1, "edges": (0, 1)},
        {"edges": (0.0,)},
        {"edges": (0.0, 2.0, 1.0)},
    ],
)
def test_a_histogram_has_exactly_one_binning(binning):
    with pytest.raises(ValidationError, match="histogram 'x'"):
        Histogram(name="x", label="x", **binning)


def test_axes_and_label():
    axes = MASS.create("a", ["z"], ["nominal"]).axes
    assert axes.name == ("dataset", "region", "variation", "mass")
    assert axes["mass"].label == "$m$ [GeV]"


@given(st.lists(st.tuples(st.floats(-1, 5, allow_subnormal=False), st.floats(-2, 2)), max_size=40))
def test_filling_is_numpy(entries):
    values = np.array([value for value, _ in entries])
    weights = np.array([weight for _, weight in entries])
    filler = Filler([MASS], "a", regions=("z", "ss"))
    filler.fill({"mass": values}, region="z", variation="nominal", weight=weights)
    seen = filler.histograms["mass"][{"dataset": "a", "region": "z", "variation": "nominal"}]
    inside = (values >= 0) & (values < 4)
    expected, _ = np.histogram(values[inside], bins=4, range=(0, 4), weights=weights[inside])
    squares, _ = np.histogram(values[inside], bins=4, range=(0, 4), weights=weights[inside] ** 2)
    np.testing.assert_allclose(seen.values(), expected, atol=1e-12)
    np.testing.assert_allclose(seen.variances(), squares, atol=1e-12)


@pytest.mark.parametrize("values", [ak.Array([[0.5, 1.5], [], [2.5, 2.5]]), np.array([[0.5, 1.5], [9, 9], [2.5, 2.5]])])
def test_objects_carry_the_weight_of_their_event(values):
    filler = Filler([MASS], "a", regions=("z", "ss"))
    filler.fill({"mass": values}, region="z", variation="nominal", weight=np.array([1.0, 10.0, 100.0]))
    assert filler.histograms["mass"][{"dataset": 0, "region": 0, "variation": 0}].values() == pytest.approx(
        [1, 1, 200, 0]
    )


def test_a_region_limits_its_histograms_and_a_missing_observable_is_an_error():
    only = MASS.model_copy(update={"name": "pt", "regions": ("z",)})
    filler = Filler([MASS, only], "a", regions=("z", "ss"))
    filler.fill({"mass": np.ones(2)}, region="ss", variation="nominal", weight=np.ones(2))
    assert list(filler.histograms["pt"].axes["region"]) == ["z"]
    with pytest.raises(KeyError, match="'pt' is declared for region 'z'"):
        filler.fill({"mass": np.ones(2)}, region="z", variation="nominal", weight=np.ones(2))
    with pytest.raises(ValueError, match="two histograms are called 'mass'"):
        Filler([MASS, MASS], "a", regions=("z",))


def test_categories_do_not_depend_on_what_was_filled():
    filler = Filler([MASS], "a", regions=("z", "ss"), variations=("nominal", "jesUp"))
    filler.fill({"mass": np.array([])}, region="ss", variation="jesUp", weight=np.array([]))
    axes = filler.histograms["mass"].axes
    assert [list(axis) for axis in axes[:3]] == [["a"], ["z", "ss"], ["nominal", "jesUp"]]


def test_hdf5_reads_back_bit_for_bit(tmp_path: Path):
    filler = Filler([MASS], "a", regions=("z", "ss"))
    rng = np.random.default_rng(1)
    for region in ("z", "ss"):
        filler.fill({"mass": rng.uniform(-1, 5, 100)}, region=region, variation="nominal", weight=rng.normal(size=100))
    write_hdf5(filler.histograms, tmp_path / "h.h5")
    back = read_hdf5(tmp_path / "h.h5")["mass"]
    assert back == filler.histograms["mass"]
    assert back.axes["mass"].label == "$m$ [GeV]"
    assert isinstance(back, hist.Hist)
    assert [place[:3] for place in slices(back)] == [("a", "z", "nominal"), ("a", "ss", "nominal")]


@given(
    st.lists(st.tuples(st.floats(-1, 5) | st.just(np.nan), st.floats(-2, 2), st.floats(-2, 2)), max_size=30),
    st.booleans(),
)
def test_filling_many_weights_is_filling_one_after_the_other(entries, per_object):
    table = np.array(entries, dtype=float).reshape(-1, 3)
    values, up, down = table.T
    observed = np.stack([values, values[::-1]], axis=1) if per_object else values
    once = Filler([MASS], "a", regions=("z",), variations=("nominal", "sUp", "sDown"))
    entries_of_z = once.entries({"mass": observed}, region="z")
    entries_of_z.fill("sUp", up)
    entries_of_z.fill("sDown", down)
    each = Filler([MASS], "a", regions=("z",), variations=("nominal", "sUp", "sDown"))
    for name, weight in (("sUp", up), ("sDown", down)):
        each.fill({"mass": observed}, region="z", variation=name, weight=weight)
    # Bit for bit: both add the entries of a bin in their order, from zero.
    assert np.array_equal(once.histograms["mass"].view(flow=True), each.histograms["mass"].view(flow=True))


def test_a_variation_that_was_not_declared_is_no_new_category():
    filler = Filler([MASS], "a", regions=("z",))
    with pytest.raises(KeyError, match="'sUp' was not declared"):
        filler.entries({"mass": np.array([1.0])}, region="z").fill("sUp", np.array([1.0]))


def test_what_a_variation_does_not_move_is_not_filled_again():
    met = Histogram(name="met", label="met", bins=4, start=0, stop=4, depends_on=("met",))
    mass = Histogram(name="mass", label="m", bins=4, start=0, stop=4, depends_on=("muons",))
    anything = Histogram(name="any", label="any", bins=4, start=0, stop=4)
    moves = {"jetUp": ("jets", "met")}
    filler = Filler([met, mass, anything], "a", regions=("z",), variations=("nominal", "jetUp"), moves=moves)
    one = {"met": np.array([1.0]), "mass": np.array([1.0]), "any": np.array([1.0])}
    for variation in ("nominal", "jetUp"):
        filler.fill(one, region="z", variation=variation, weight=np.array([1.0]))
    assert {name: list(h.axes["variation"]) for name, h in filler.histograms.items()} == {
        "met": ["nominal", "jetUp"],
        "mass": ["nominal"],
        "any": ["nominal", "jetUp"],
    }
    assert all(
        histogram.sum(flow=True).value == len(histogram.axes["variation"]) for histogram in filler.histograms.values()
    )
