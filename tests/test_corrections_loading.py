"""Loading correctionlib files and evaluating them: ranges, counts of what lies outside, shapes, errors."""

from __future__ import annotations

import gzip
import json
import math
import pickle
from pathlib import Path

import awkward as ak
import correctionlib.schemav2 as schema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.corrections import loading
from mucoffea.corrections.evaluation import evaluate
from mucoffea.errors import UserError

VALUES = {"nominal": 1.0, "systup": 2.0}


def category(scale: float) -> dict:
    content = [{"key": key, "value": value * scale} for key, value in VALUES.items()]
    return {"nodetype": "category", "input": "scale_factors", "content": content}


def binning(name: str, edges: list, flow: object, content: list) -> dict:
    return {"nodetype": "binning", "input": name, "edges": edges, "content": content, "flow": flow}


def absolute(name: str, content: dict, expression: str = "abs(x)") -> dict:
    rule = {"nodetype": "formula", "expression": expression, "parser": "TFormula", "variables": [name]}
    return {"nodetype": "transform", "input": name, "rule": rule, "content": content}


def write(path: Path, data: dict, *, key: str = "sf", version: int = 2, inputs: tuple = ("eta", "pt")) -> Path:
    variables = [{"name": name, "type": "real"} for name in inputs] + [{"name": "scale_factors", "type": "string"}]
    correction = {
        "name": key,
        "version": version,
        "inputs": variables,
        "output": {"name": "w", "type": "real"},
    }
    text = schema.CorrectionSet.model_validate(
        {"schema_version": 2, "corrections": [{**correction, "data": data}]}
    ).model_dump_json(exclude_unset=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture(scope="module")
def like_the_pog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """|eta| in 2 bins, pt in 2 bins up to infinity, errors outside: the value is 10 x eta bin + pt bin + 1."""
    rows = [binning("pt", [15.0, 30.0, "inf"], "error", [category(10 * i + 1), category(10 * i + 2)]) for i in (0, 1)]
    data = absolute("eta", binning("eta", [0.0, 1.2, 2.4], "error", rows))
    return write(tmp_path_factory.mktemp("loading") / "sf.json.gz", data)


def test_valid_range_through_the_absolute_value(like_the_pog: Path) -> None:
    ranges = loading.valid_range(like_the_pog, "sf")
    assert ranges["pt"] == (15.0, math.inf)
    assert ranges["eta"] == (np.nextafter(-2.4, 0), 2.4)
    assert loading.domain(like_the_pog, "sf").choices == {"scale_factors": ("nominal", "systup")}


def test_range_is_exactly_where_correctionlib_gives_a_value(like_the_pog: Path) -> None:
    correction = loading.correction(like_the_pog, "sf")
    low, high = loading.valid_range(like_the_pog, "sf")["eta"]
    for eta in (low, np.nextafter(high, 0), 0.0):
        assert correction.evaluate(eta, 20.0, "nominal") > 0
    for eta in (np.nextafter(low, -9), high):
        with pytest.raises(RuntimeError, match="bounds"):
            correction.evaluate(eta, 20.0, "nominal")


def test_clamp_and_default_are_unbounded_but_tabulated(tmp_path: Path) -> None:
    inner = binning("pt", [10.0, 20.0], 1.0, [category(1.0)])
    path = write(tmp_path / "c.json", binning("eta", [-1.0, 1.0], "clamp", [inner]))
    domain = loading.domain(path, "sf")
    assert domain.valid == {}
    assert domain.tabulated == {"eta": (-1.0, 1.0), "pt": (10.0, 20.0)}
    result = evaluate(
        path,
        "sf",
        {"eta": np.array([0.0, 5.0, 0.0, np.nan]), "pt": np.array([15.0] * 4)},
        variation="nominal",
    )
    assert (result.out_of_range, result.clamped) == (1, 1)
    np.testing.assert_array_equal(result.values, [1.0, 1.0, 1.0, 1.0])


def test_multibinning_uniform_edges_and_branches_that_differ(tmp_path: Path) -> None:
    multi = {
        "nodetype": "multibinning",
        "inputs": ["eta", "pt"],
        "edges": [{"n": 1, "low": -2.0, "high": 2.0}, [10.0, 50.0]],
        "content": [category(1.0)],
        "flow": "error",
    }
    narrow = binning("pt", [20.0, 40.0], "error", [category(2.0)])
    path = write(tmp_path / "m.json", binning("eta", [-3.0, 0.0, 3.0], "error", [multi, narrow]))
    assert loading.valid_range(path, "sf") == {"eta": (-2.0, 2.0), "pt": (20.0, 40.0)}


@pytest.mark.parametrize("expression", ["log(x)", "abs(x)+1", "-x"])
def test_unknown_transform_bounds_nothing_and_its_failure_names_the_file(tmp_path: Path, expression: str) -> None:
    path = write(tmp_path / "t.json", absolute("pt", binning("pt", [0.0, 1.0], "error", [category(1.0)]), expression))
    assert loading.valid_range(path, "sf") == {}
    with pytest.raises(UserError, match=r"t\.json cannot be evaluated"):
        evaluate(path, "sf", {"eta": np.zeros(1), "pt": np.array([-50.0])}, variation="nominal")


def test_evaluate_counts_and_never_clamps(like_the_pog: Path) -> None:
    pt = np.array([15.0, 14.999, 30.0, np.inf, np.nan, 1e6])
    eta = np.array([-1.3, 0.0, 0.1, 0.0, 0.0, 2.4])
    result = evaluate(like_the_pog, "sf", {"pt": pt, "eta": eta}, variation="nominal")
    np.testing.assert_array_equal(result.values, [11.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    assert (result.out_of_range, result.clamped) == (4, 0)
    assert result.values.dtype == np.float64


@given(st.lists(st.lists(st.tuples(st.floats(0, 100), st.floats(-3, 3)), max_size=4), max_size=6))
def test_jagged_equals_flat_for_every_shape(like_the_pog: Path, events: list) -> None:
    counts = [len(event) for event in events]
    flat = np.array([muon for event in events for muon in event], dtype=np.float64).reshape(-1, 2)
    pt, eta = (ak.unflatten(flat[:, i], np.array(counts, dtype=np.int64)) for i in (0, 1))
    jagged = evaluate(like_the_pog, "sf", {"pt": pt, "eta": eta}, variation="systup")
    single = evaluate(like_the_pog, "sf", {"pt": flat[:, 0], "eta": flat[:, 1]}, variation="systup")
    assert ak.num(jagged.values, axis=1).to_list() == counts
    np.testing.assert_array_equal(ak.to_numpy(ak.flatten(jagged.values)), single.values)
    assert jagged.out_of_range == single.out_of_range


def test_sliced_arrays_do_not_count_what_is_not_there(like_the_pog: Path) -> None:
    pt = ak.Array([[1.0], [20.0, 2.0], [40.0]])
    eta = ak.Array([[0.0], [0.0, 0.0], [0.0]])
    result = evaluate(like_the_pog, "sf", {"pt": pt[pt > 15], "eta": eta[pt > 15]}, variation="nominal")
    assert result.values.to_list() == [[], [1.0], [2.0]]
    assert result.out_of_range == 0
    kept = np.array([False, False, True])
    assert evaluate(like_the_pog, "sf", {"pt": pt[kept], "eta": eta[kept]}, variation="nominal").out_of_range == 0


def test_none_is_counted_and_shapes_must_agree(like_the_pog: Path) -> None:
    result = evaluate(
        like_the_pog, "sf", {"pt": ak.Array([None, 20.0]), "eta": ak.Array([0.0, 0.0])}, variation="nominal"
    )
    assert (result.values.tolist(), result.out_of_range) == ([1.0, 1.0], 1)
    with pytest.raises(ValueError, match="differ in shape"):
        evaluate(like_the_pog, "sf", {"pt": np.ones(2), "eta": np.ones(3)}, variation="nominal")


def test_inputs_are_matched_by_name_with_abs(tmp_path: Path) -> None:
    data = binning("abseta", [0.0, 1.0], "error", [binning("pt", [0.0, 99.0], "error", [category(3.0)])])
    path = write(tmp_path / "a.json", data, inputs=("pt", "abseta"))
    eta = np.array([-0.5, 0.5, -1.5])
    result = evaluate(path, "sf", {"eta": eta, "pt": np.full(3, 9.0)}, variation="nominal")
    assert (result.values.tolist(), result.out_of_range) == ([3.0, 3.0, 1.0], 1)
    with pytest.raises(UserError, match="needs an input 'abseta'"):
        evaluate(path, "sf", {"pt": np.full(3, 9.0)}, variation="nominal")


def test_unknown_variation_and_key_name_the_closest(like_the_pog: Path) -> None:
    inputs = {"pt": np.ones(1), "eta": np.ones(1)}
    with pytest.raises(UserError, match=r"no variation 'sysup'.*Did you mean 'systup'"):
        evaluate(like_the_pog, "sf", inputs, variation="sysup")
    with pytest.raises(UserError, match="no variation None"):
        evaluate(like_the_pog, "sf", inputs)
    with pytest.raises(UserError, match=r"sf\.json\.gz has no correction 'sff'.*Did you mean 'sf'"):
        loading.correction(like_the_pog, "sff")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'{"schema_version": 2}',
        b'{"schema_version": 3, "corrections": []}',
        gzip.compress(b"x" * 1000, mtime=0)[:30],
        b"\x1f\x8b\x00\x00",
        b"\xff\xfe",
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.json\.gz is not a readable correctionlib file"):
        loading.correction(path, "sf")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.json cannot be read"):
        loading.correction(tmp_path / "nowhere.json", "sf")


def test_loaded_once_and_again_when_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "once.json", binning("pt", [0.0, 9.0], "error", [category(1.0)]))
    parsed = []
    original = json.loads
    monkeypatch.setattr(loading.json, "loads", lambda text: parsed.append(1) or original(text))
    for _ in range(3):
        loading.correction(path, "sf")
        loading.valid_range(path, "sf")
    assert len(parsed) == 1
    write(path, binning("pt", [0.0, 77.0], "error", [category(1.0)]))
    assert loading.valid_range(path, "sf")["pt"] == (0.0, 77.0)
    assert len(parsed) == 2
    assert loading.keys(path) == ("sf",)


def test_results_pickle_small(like_the_pog: Path) -> None:
    result = evaluate(like_the_pog, "sf", {"pt": np.full(3, 20.0), "eta": np.zeros(3)}, variation="nominal")
    assert len(pickle.dumps(result)) < 1000
