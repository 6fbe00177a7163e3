"""Pile-up weights and certified luminosity sections: golden numbers of the real files, counts, errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pytest
from coffea.lumi_tools import LumiMask
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.luminosity_mask import certified, luminosity_mask
from mucoffea.corrections.pileup import pileup_factor, pileup_weight
from mucoffea.errors import UserError

REAL = Path(__file__).parents[2] / "shared/real"
GOLDEN_2018 = REAL / "lumi/Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
needs_pog = pytest.mark.skipif(not (REAL / "pog").is_dir(), reason="the real POG files are not here")
needs_lumi = pytest.mark.skipif(not GOLDEN_2018.is_file(), reason="the real golden JSON is not here")


@pytest.fixture(scope="module")
def pileup() -> CorrectionRecord:
    return Catalogue([REAL / "pog"]).resolve("pileup", era="2018", pog_folders=["2018_UL"])


@needs_pog
@pytest.mark.parametrize("variation", ["nominal", "up", "down"])
def test_every_bin_of_the_real_table(pileup: CorrectionRecord, variation: str) -> None:
    tree = json.loads(gzip.decompress(pileup.path.read_bytes()))
    content = tree["corrections"][0]["data"]["content"]
    table = next(item["value"] for item in content if item["key"] == variation)
    centres = (np.array(table["edges"][1:]) + np.array(table["edges"][:-1])) / 2
    result = pileup_weight(pileup, centres, variation)
    np.testing.assert_allclose(result.values, table["content"], rtol=1e-15)
    assert (result.out_of_range, result.clamped) == (0, 0)


@needs_pog
def test_golden_pileup_2018(pileup: CorrectionRecord) -> None:
    # POG/LUM/2018_UL/puWeights.json.gz, Collisions18_UltraLegacy_goldenJSON, bins 20-21 and 30-31.
    result = pileup_weight(pileup, np.array([20.0, 30.99]))
    np.testing.assert_allclose(result.values, [0.94641737, 0.99822759], atol=5e-9)


@needs_pog
def test_beyond_the_table_is_counted(pileup: CorrectionRecord) -> None:
    result = pileup_weight(pileup, ak.Array([20.0, 99.0, 500.0, -1.0, np.nan]))
    assert (result.out_of_range, result.clamped) == (1, 3)
    assert result.values[-1] == 1.0
    assert result.values[1] == pileup_weight(pileup, np.array([98.5])).values[0]
    assert len(pileup_weight(pileup, np.array([], dtype=np.float32)).values) == 0
    with pytest.raises(UserError, match=r"no variation 'upp'.*'up'"):
        pileup_weight(pileup, np.array([1.0]), "upp")


@needs_pog
@pytest.mark.parametrize(
    ("era", "folder"),
    [("2016postVFP", "2016postVFP_UL"), ("2018", "2018_UL"), ("2022postEE", "2022_Summer22EE")],
)
def test_pileup_factor_is_what_correctionlib_says(era: str, folder: str) -> None:
    record = Catalogue([REAL / "pog"]).resolve("pileup", era=era, pog_folders=[folder])
    by_hand = correctionlib.CorrectionSet.from_file(str(record.path))[record.key]
    n_true = np.linspace(0.5, 95.5, 40)
    factor = pileup_factor(record, n_true)
    for found, name in (
        (factor.nominal, "nominal"),
        (factor.variations["pileupUp"], "up"),
        (factor.variations["pileupDown"], "down"),
    ):
        np.testing.assert_array_equal(found, by_hand.evaluate(n_true, name))


@needs_pog
def test_pileup_factor_has_all_three_weights(pileup: CorrectionRecord) -> None:
    n_true = np.array([20.0, 99.0, np.nan, 35.5])
    factor = pileup_factor(pileup, ak.Array(n_true))
    np.testing.assert_array_equal(factor.nominal, pileup_weight(pileup, n_true).values)
    np.testing.assert_array_equal(factor.variations["pileupUp"], pileup_weight(pileup, n_true, "up").values)
    np.testing.assert_array_equal(factor.variations["pileupDown"], pileup_weight(pileup, n_true, "down").values)
    assert set(factor.variations) == {"pileupUp", "pileupDown"}
    assert (factor.out_of_range, factor.clamped) == (1, 1)


@needs_lumi
def test_certified_against_the_file() -> None:
    golden = {int(run): ranges for run, ranges in json.loads(GOLDEN_2018.read_text()).items()}
    run = np.repeat(np.array([*list(golden)[:40], 1]), 120)
    block = np.tile(np.arange(120), 41)
    expected = [any(a <= b <= z for a, z in golden.get(int(r), [])) for r, b in zip(run, block, strict=True)]
    result = certified(GOLDEN_2018, run, block)
    assert result.dtype == bool
    assert 0 < result.sum() < len(result)
    np.testing.assert_array_equal(result, expected)
    for kind in (np.uint32, np.int64, np.float64):
        np.testing.assert_array_equal(certified(GOLDEN_2018, ak.Array(run.astype(kind)), block.astype(kind)), expected)
    assert certified(GOLDEN_2018, run[:0], block[:0]).shape == (0,)


def test_ranges_include_both_ends_and_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "golden.json"
    path.write_text('{"10": [[5, 7], [9, 9]], "11": []}')
    run, block = np.full(8, 10), np.arange(4, 12)
    np.testing.assert_array_equal(certified(path, run, block), [False, True, True, True, False, True, False, False])
    assert not certified(path, run + 1, block).any()
    assert luminosity_mask(path) is luminosity_mask(path)
    assert isinstance(luminosity_mask(path), LumiMask)
    path.write_text('{"10": [[4, 4]], "999": []}')
    assert certified(path, run, block)[0]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"a": [[1, 2]]}', '{"1": [[1]]}', '{"1": [1, 2]}', '{"1": [[1, "x"]]}', '{"1": [[-1, 2]]}'],
)
def test_bad_mask_is_an_error_never_all_good(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.json is not a JSON of certified sections"):
        certified(path, np.ones(1), np.ones(1))


@pytest.mark.parametrize("ranges", [[[5, 2]], [[5, 9], [1, 2]], [[1, 5], [4, 9]]])
def test_unsorted_sections_are_an_error(tmp_path: Path, ranges: list) -> None:
    path = tmp_path / "unsorted.json"
    path.write_text(json.dumps({"1": ranges}))
    with pytest.raises(UserError, match=r"unsorted sections in run 1"):
        certified(path, np.ones(1), np.ones(1))


def test_missing_mask(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.json cannot be read"):
        certified(tmp_path / "gone.json", np.ones(1), np.ones(1))
