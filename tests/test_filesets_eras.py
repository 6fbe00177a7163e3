"""The uncertainty of the luminosity of each era: its parts are the whole, and shared where they are correlated."""

from __future__ import annotations

import math

import pytest
from mucoffea.filesets.eras import find_era, load_eras
from mucoffea.filesets.models import Luminosity
from pydantic import ValidationError

ERAS = [era for era in load_eras().values() if era.name != "demo"]


@pytest.mark.parametrize("era", ERAS, ids=lambda era: era.name)
def test_parts_add_in_quadrature_to_the_whole(era):
    assert era.luminosity.uncertainties
    whole = math.hypot(*era.luminosity.uncertainties.values())
    assert round(whole, 1) == pytest.approx(era.luminosity.uncertainty)


@pytest.mark.parametrize(("one", "two"), [("2016preVFP", "2016postVFP"), ("2022preEE", "2022postEE")])
def test_eras_of_a_year_have_one_calibration(one: str, two: str):
    assert find_era(one).luminosity.uncertainties == find_era(two).luminosity.uncertainties


def test_run_2_and_run_3_combine_to_the_published_numbers():
    def combined(names: list[str]) -> float:
        eras = [find_era(name).luminosity for name in names]
        parts = {name for era in eras for name in era.uncertainties}
        shifts = [sum(era.fb * era.uncertainties.get(part, 0.0) for era in eras) for part in parts]
        return math.hypot(*shifts) / sum(era.fb for era in eras)

    # TWiki LumiRecommendationsRun2: 1.6 % for 2016 to 2018; CMS LUM POG: 1.2 % for 2022 to 2024.
    assert combined(["2016preVFP", "2016postVFP", "2017", "2018"]) == pytest.approx(1.6, abs=0.05)
    run_3 = ["2022preEE", "2022postEE", "2023preBPix", "2023postBPix", "2024"]
    assert combined(run_3) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"a": 1.0, "b": 1.0}, "1.41 per cent together, not 2"),
        ({"a": -2.0}, "greater than or equal"),
        ({"a": "2"}, "number"),
    ],
)
def test_parts_that_are_not_the_whole_are_a_mistake(parts, message: str):
    with pytest.raises(ValidationError, match=message):
        Luminosity(value=1.0, uncertainty=2.0, uncertainties=parts, source="x")
