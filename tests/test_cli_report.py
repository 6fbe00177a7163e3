"""The report: which sources it names, what it says of variations without a scale, the luminosity's uncertainty."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from mucoffea.cli.report import _sources, _variations_without_scale, _with_uncertainty, with_agreement
from mucoffea.corrections import systematics
from mucoffea.outputs.luminosity import EraLuminosity
from mucoffea.outputs.report import Report, SourceReport

from .support.varied_result import NOMINAL, bundle, dataset


def test_every_declared_source_fits_into_a_report():
    declared = tuple(systematics.sources().values())
    eras = {"2017": declared[:3], "2018": declared[2:]}
    found = _sources(SimpleNamespace(eras={name: name for name in eras}, systematics=lambda era: eras[era]))
    assert [one.name for one in found] == [one.name for one in declared]
    assert [one.variations for one in found] == [one.variations for one in declared]
    assert all(one.label for one in found)
    report = bundle({"z": {"nominal": NOMINAL}}, found).report
    assert Report.model_validate_json(report.model_dump_json()).sources == found


def test_the_luminosity_has_the_uncertainty_of_its_era():
    found = _with_uncertainty(EraLuminosity(era="2018", value=1.0))
    assert (found.value, found.uncertainty) == (1.0, 2.5)
    assert found.uncertainties["lumi_13TeV_correlated"] == 2.0
    without = EraLuminosity(era="", value=1.0)
    assert _with_uncertainty(without) == without


def test_variations_without_a_scale_are_said():
    bad = {"pdf001": "sumw is nan", "pdf002": "sumw is 0.0"}
    lines = list(_variations_without_scale([dataset("z"), dataset("tt", not_normalised_variations=bad)]))
    assert lines == ["not normalised: tt under pdf001 and 1 more, nominal is taken instead: sumw is nan"]


def test_the_agreement_is_that_of_nominal_and_uncorrected_alone():
    source = SourceReport(name="pileup", kind="weight", variations=("pileupUp", "pileupDown"))
    varied = {"nominal": NOMINAL, "uncorrected": 1.1 * NOMINAL, "pileupUp": NOMINAL, "pileupDown": NOMINAL}
    made = bundle({"z": varied, "data": {"nominal": np.round(NOMINAL)}}, [source], {"data": {"kind": "data"}})
    (row,) = with_agreement(made).report.agreement
    assert set(row) == {"histogram", "region", "nominal", "uncorrected"}
    assert row["nominal"]["chi2"] == 0
    assert row["uncorrected"]["chi2"] > 0
