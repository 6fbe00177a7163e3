"""Efficiencies and rates: the table of the reference analysis from its counts, and what cannot be known."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.outputs.exposure import UNKNOWN, SampleExposure
from mucoffea.outputs.exposure_rates import read_counts, sample_rates, scaled_rates, wall_days
from mucoffea.outputs.intervals import CONFIDENCE, Convention, Estimate
from mucoffea.outputs.mu2e_rates_table import rates_table, write_legacy
from mucoffea.outputs.mu2e_tables import text, write

#: Cosmics of MDC2020aw on-spill, cutset dev: events by window.
STAGES = {
    "Select": {"Inclusive": 20154, "Wide": 19574, "Extended": 3267, "Signal": 416},
    "Unvetoed": {"Inclusive": 10, "Wide": 10, "Extended": 3, "Signal": 1},
}


def exposed(**known):
    """What is known of a sample; the rest is not."""
    nothing = {"livetime": None, "generated": None, "on_spill": True, "fraction": 1.0}
    return SampleExposure(**{**nothing, "livetime_source": UNKNOWN, "generated_source": UNKNOWN, **known})


COSMICS = exposed(livetime=1.068e7, generated=41.1e9, on_spill=True)
LEGACY = Convention(legacy=True)


def table(stages=STAGES, exposure=COSMICS, convention=LEGACY):
    return {one.name: one for one in sample_rates("cosmics", "dev", stages, exposure, convention).windows}


@pytest.mark.parametrize(
    ("window", "value", "minus", "plus"),
    [
        ("Inclusive", 99.950, 0.018, 0.013),
        ("Wide", 99.949, 0.019, 0.014),
        ("Extended", 99.908, 0.070, 0.040),
        ("Signal", 99.760, 0.387, 0.149),
    ],
)
@pytest.mark.parametrize("convention", [LEGACY, Convention()])
def test_veto_efficiency_of_the_reference(window, value, minus, plus, convention):
    found = table(convention=convention)[window].veto_efficiency
    assert 100 * found.value == pytest.approx(value, abs=6e-4)
    assert 100 * found.minus == pytest.approx(minus, abs=6e-4)
    assert 100 * found.plus == pytest.approx(plus, abs=6e-4)


@pytest.mark.parametrize(
    ("window", "live", "one_batch", "two_batch", "run1"),
    [
        ("Inclusive", 5988.60, 18598.14, 24343.9, 149.542),
        ("Wide", 5816.26, 18062.92, 23643.3, 145.238),
        ("Extended", 970.763, 3014.79, 3946.2, 24.241),
        ("Signal", 123.611, 383.885, 502.484, 3.087),
    ],
)
def test_scaled_times_of_the_reference(window, live, one_batch, two_batch, run1):
    found = table()[window].scaled
    assert found.livetime_days == pytest.approx(live, rel=1e-5)
    assert found.wall_days["1BB"] == pytest.approx(one_batch, rel=1e-5)
    assert found.wall_days["2BB"] == pytest.approx(two_batch, rel=1e-5)
    assert found.run1 == pytest.approx(run1, abs=6e-4)


def test_scaled_rates_of_the_reference():
    found = table()
    for one in found.values():
        assert one.scaled.selected["1BB"].value == pytest.approx(1.084, abs=6e-4)
        assert one.scaled.selected["2BB"].value == pytest.approx(0.828, abs=6e-4)
        assert one.scaled.selected_run1.value == pytest.approx(134.77, abs=6e-3)
    unvetoed = found["Inclusive"].scaled.unvetoed["1BB"]
    assert [unvetoed.value, unvetoed.minus, unvetoed.plus] == pytest.approx([5.38e-4, 1.66e-4, 2.28e-4], abs=6e-7)
    others = {"Wide": 5.54e-4, "Extended": 9.95e-4, "Signal": 2.605e-3}
    for window, value in others.items():
        assert found[window].scaled.unvetoed["1BB"].value == pytest.approx(value, rel=1e-3)
    run1 = {"Inclusive": (0.067, 0.021, 0.028), "Signal": (0.324, 0.267, 0.741)}
    for window, (value, minus, plus) in run1.items():
        one = found[window].scaled.unvetoed_run1
        assert [one.value, one.minus, one.plus] == pytest.approx([value, minus, plus], abs=6e-4)
    assert found["Wide"].scaled.unvetoed_run1.value == pytest.approx(0.069, abs=6e-4)
    assert found["Extended"].scaled.unvetoed_run1.value == pytest.approx(0.124, abs=6e-4)
    selected = found["Signal"].scaled.selected_run1
    assert [selected.minus, selected.plus] == pytest.approx([6.57, 6.90], abs=6e-3)


def test_unscaled_rates_of_the_reference():
    rates = {"Inclusive": 52.50, "Wide": 50.99, "Extended": 8.51, "Signal": 1.084}
    for window, value in rates.items():
        assert table()[window].unscaled.selected["1BB"].value == pytest.approx(value, abs=6e-3)


def test_unscaled_rates_differ_between_windows_and_scaled_ones_do_not():
    found = table(convention=Convention())
    assert len({one.unscaled.selected["1BB"].value for one in found.values()}) == 4
    assert np.ptp([one.scaled.selected["1BB"].value for one in found.values()]) < 1e-12
    # In the signal window the two are the same thing.
    assert found["Signal"].scaled == found["Signal"].unscaled


def test_the_uncertainty_of_the_signal_count_is_propagated():
    found, legacy = table(convention=Convention()), table()
    signal = found["Signal"].scaled.selected["1BB"]
    for one in found.values():
        assert one.scaled.selected["1BB"].minus == pytest.approx(signal.minus)
    # 4.9 % of 416, where the old table has 0.7 % of 20 154
    assert legacy["Inclusive"].scaled.selected["1BB"].minus < 0.2 * signal.minus
    background = found["Inclusive"].scaled.unvetoed["1BB"]
    missed = found["Inclusive"].inefficiency
    expected = np.hypot(missed.plus / missed.value, signal.plus / signal.value)
    assert background.plus / background.value == pytest.approx(expected)
    assert background.value == pytest.approx(missed.value * signal.value)


def test_conversion_electrons_of_the_reference():
    stages = {"Select": {"Inclusive": 841113, "Wide": 839291, "Extended": 794097, "Signal": 585461}}
    found = table(stages, exposed(generated=4e6))
    for window, value in {"Inclusive": 21.028, "Wide": 20.982, "Extended": 19.852, "Signal": 14.637}.items():
        assert 100 * found[window].selection_efficiency.value == pytest.approx(value, abs=6e-4)
    errors = [100 * one.selection_efficiency.plus for one in found.values()]
    assert errors == pytest.approx([0.020, 0.020, 0.020, 0.018], abs=6e-4)


def test_deadtime_of_conversion_electrons_with_pile_up():
    stages = {"Select": {"Inclusive": 579348}, "Unvetoed": {"Inclusive": 332013}}
    found = table(stages, exposed())["Inclusive"]
    assert 100 * found.veto_efficiency.value == pytest.approx(42.69, abs=6e-3)


def test_confidence_is_one_for_fractions_and_counts():
    convention = Convention(confidence=0.95)
    empty = {"Select": {"Inclusive": 10, "Signal": 0}, "Unvetoed": {"Inclusive": 0, "Signal": 0}}
    found = table(empty, convention=convention)["Inclusive"]
    assert found.unscaled.unvetoed_run1.high * found.unscaled.run1 == pytest.approx(-np.log(0.025))
    one_sigma = table(empty, convention=Convention())["Inclusive"]
    assert one_sigma.unscaled.unvetoed_run1.high * found.unscaled.run1 == pytest.approx(-np.log((1 - CONFIDENCE) / 2))
    assert table(empty)["Inclusive"].unscaled.unvetoed_run1.high * found.unscaled.run1 == pytest.approx(
        1.1394, abs=1e-4
    )


def test_veto_off_is_not_available_and_never_100_percent():
    result = sample_rates("cosmics", "dev", {"Select": STAGES["Select"]}, COSMICS)
    for one in result.windows:
        assert one.veto_efficiency is one.inefficiency is one.unvetoed is None
        assert one.unscaled.unvetoed is one.unscaled.unvetoed_run1 is one.scaled.unvetoed is None
        assert one.unscaled.selected_run1.value > 0
    assert any("veto cut is off" in remark for remark in result.remarks)


@pytest.mark.parametrize("livetime", [None, 0.0])
def test_without_live_time_rates_are_not_available_and_never_0(livetime):
    result = sample_rates("ce", "dev", STAGES, exposed(livetime=livetime, generated=4e6))
    assert all(one.unscaled is one.scaled is None for one in result.windows)
    assert all(one.selection_efficiency is not None for one in result.windows)
    assert any("live time is not known" in remark for remark in result.remarks)


def test_without_generated_events_the_selection_efficiency_is_not_available():
    result = sample_rates("x", "dev", STAGES, exposed(livetime=1.0))
    assert all(one.selection_efficiency is None for one in result.windows)
    assert any("generated" in remark for remark in result.remarks)


def test_nothing_selected_and_a_blinded_signal_window():
    nothing = {stage: dict.fromkeys(STAGES["Select"], 0) for stage in STAGES}
    found = table(nothing)
    assert found["Signal"].veto_efficiency is None
    assert found["Signal"].scaled is None
    assert found["Signal"].unscaled.selected_run1.value == 0
    assert found["Signal"].unscaled.selected_run1.high > 0
    blind = {stage: {"Inclusive": n["Inclusive"]} for stage, n in STAGES.items()}
    result = sample_rates("x", "dev", blind, COSMICS)
    assert [one.name for one in result.windows] == ["Inclusive"]
    assert result.windows[0].scaled is None
    assert any("blinded" in remark for remark in result.remarks)


def test_off_spill_time_is_what_the_spills_leave():
    on, off = wall_days(86400.0, on_spill=True), wall_days(86400.0, on_spill=False)
    for mode in on:
        assert 1 / on[mode] + 1 / off[mode] == pytest.approx(1)


def test_coverage_of_the_expected_background():
    """2 000 pseudo-experiments: cosmics counted in nested windows, one in fifty in the signal window."""
    random, hits = np.random.default_rng(11), 0
    true = 60.0 * 2e-3 / 1000  # signal-window rate times inefficiency, per second of live time
    for _ in range(2000):
        signal, rest = random.poisson(60), random.poisson(2940)
        missed = random.binomial(signal + rest, 2e-3)
        found = scaled_rates(signal + rest, missed, signal, exposed(livetime=1000), Convention()).unvetoed_run1
        hits += found.low <= true * 3.46e6 <= found.high
    assert hits / 2000 == pytest.approx(CONFIDENCE, abs=0.05)


def test_counts_of_a_result_are_found_or_the_message_helps():
    counters = {"mu2e": {"alpha": {"stages": STAGES}, "SU2020b": {"stages": {}}}}
    assert read_counts(counters, None, "The result x")[0] == "alpha"
    with pytest.raises(UserError, match=r"no cutset 'alfa'.*Did you mean 'alpha'"):
        read_counts(counters, "alfa", "The result x")
    with pytest.raises(UserError, match="mu2e_cosmic"):
        read_counts({"sections": {}}, None, "The result x")
    with pytest.raises(UserError, match="no stage 'Select'"):
        sample_rates("x", "dev", {}, COSMICS)


def test_the_table_of_earlier_analyses_has_its_31_rows(tmp_path):
    write_legacy(sample_rates("cosmics", "dev", STAGES, COSMICS, LEGACY), tmp_path / "analysis.csv")
    with (tmp_path / "analysis.csv").open(newline="") as file:
        rows = {row[0]: row[1:] for row in csv.reader(file)}
    assert rows.pop("") == ["Inclusive", "Wide", "Extended", "Signal"]
    assert len(rows) == 31
    assert float(rows["Unvetoed Rate 1BB [day^-1]"][0]) == pytest.approx(5.38e-4, abs=6e-7)
    assert float(rows["Unvetoed Rate 1BB [day^-1] Err-"][0]) == pytest.approx(-1.66e-4, abs=6e-7)
    assert float(rows["Selection Rate Run-1 Err+"][3]) == pytest.approx(6.90, abs=6e-3)


def test_tables_keep_values_and_say_what_is_not_available(tmp_path):
    known = sample_rates("cosmics", "dev", STAGES, COSMICS)
    veto_off = sample_rates("ce_50%", "dev", {"Select": STAGES["Select"]}, exposed(), role="signal")
    paths = write([rates_table(known), rates_table(veto_off)], tmp_path, "rates", {"result": "x"})
    table, content, latex = (path.read_text() for path in paths)
    rows = list(csv.DictReader(table.splitlines()))
    efficiency = next(row for row in rows if row["quantity"] == "Veto efficiency")
    assert float(efficiency["inclusive"]) == 100 * (1 - 10 / 20154)
    assert float(efficiency["inclusive_low"]) < float(efficiency["inclusive"]) < float(efficiency["inclusive_high"])
    deadtime = [row for row in rows if row["dataset"] == "ce_50%"]
    assert {row["quantity"]: row["signal"] for row in deadtime}["Deadtime"] == "n/a"
    first, second = json.loads(content)["tables"]
    assert first["intervals"] == {"confidence": CONFIDENCE, "legacy": False}
    assert next(row for row in second["rows"] if row["quantity"] == "Deadtime")["signal"] is None
    assert r"99.950^{+0.013}_{-0.018}" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len({line.count("&") for line in body}) == 1
    assert "not available" in latex


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((99.95038, 99.93202, 99.96378), "99.950 −0.018 +0.013"),
        ((5.38e-4, 3.9e-4, 7.4e-4), "(5.4 −1.5 +2.0)e-4"),
        ((0.0, 0.0, 0.012), "0.000 −0.000 +0.012"),
        ((0.0, 0.0, 0.0), "0.0 −0.0 +0.0"),
        ((6529.0, 6483.0, 6575.0), "6529 −46 +46"),
        ((1.0, 0.5, float("inf")), "1.00 −0.50 +inf"),
    ],
)
def test_digits_follow_the_uncertainty(limits, expected):
    value, low, high = limits
    assert text(Estimate(value=value, low=low, high=high)) == expected


def test_events_rejected_for_coincidence_times_are_quoted_on_the_common_denominator():
    """The development cutset: 455 023 conversion electrons before the cuts on times, 255 406 after, 228 411 kept."""
    stages = {"Select": {"Inclusive": 255_406}, "Unvetoed": {"Inclusive": 228_411}}
    before = {"Select": {"Inclusive": 455_023}, "Unvetoed": {"Inclusive": 400_000}}
    signal = sample_rates("ce", "dev", stages, exposed(), role="signal", before=before)
    (window,) = signal.windows
    assert 100 * window.veto_efficiency.value == pytest.approx(10.57, abs=6e-3)
    assert window.accepted.value == pytest.approx(255_406 / 455_023)
    assert window.rejected.value == pytest.approx(1 - 228_411 / 455_023)
    cosmics = sample_rates("cry", "dev", stages, exposed(), before=before).windows[0]
    assert cosmics.rejected.value == pytest.approx(cosmics.accepted.value * cosmics.veto_efficiency.value)
    assert "Acceptance × veto efficiency" in [
        row[1] for row in rates_table(sample_rates("cry", "dev", stages, exposed(), before=before)).rows
    ]
    without = sample_rates("cry", "dev", stages, exposed(), before=stages).windows[0]
    assert without.accepted is without.rejected is None
