"""The cut manager: levels, groups, states, combinations and flows, against a plain loop over events and objects."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.selections.cut_flow import table
from mucoffea.selections.cut_manager import CutManager

COUNTS = [2, 0, 1, 3]
OBJECTS = ak.Array([[True, False], [], [True], [False, True, True]])
OTHER = ak.Array([[False, True], [], [True], [False, False, True]])
EVENTS = np.array([True, True, False, True])


@pytest.fixture
def manager() -> CutManager:
    made = CutManager(4, COUNTS)
    made.add("quality", OBJECTS, description="a good track", group="Tracker")
    made.add("on_time", EVENTS, description="in time", group="Event")
    made.add("electron", OTHER, description="an electron", group="Tracker")
    return made


def test_one_object_has_to_pass_all_cuts(manager: CutManager):
    # In the first event one track passes one cut, and another track the other.
    assert manager.events(["quality"]).tolist() == [True, False, True, True]
    assert manager.events(["electron"]).tolist() == [True, False, True, True]
    assert manager.events(["quality", "electron"]).tolist() == [False, False, True, True]
    assert manager.events().tolist() == [False, False, False, True]
    assert manager.objects().tolist() == [False, False, False, False, False, True]
    assert manager.objects(["on_time"]).tolist() == [True, True, False, True, True, True]


def test_events_without_objects(manager: CutManager):
    assert manager.events([]).all()
    assert manager.events(["on_time"]).tolist() == EVENTS.tolist()
    assert not manager.events(["quality"])[1]
    empty = CutManager(0, [])
    empty.add("a", ak.Array([[True]])[:0])
    empty.add("b", np.zeros(0, dtype=bool))
    assert empty.flow()["b"]["n"] == 0
    nobody = CutManager(3, [0, 0, 0])
    nobody.add("a", ak.Array([[], [], []]))
    assert nobody.flow()["a"] == dict.fromkeys(nobody.flow()["a"], 0) | {"n_minus_one": 3, "sumw_minus_one": 3.0,
                                                                        "sumw2_minus_one": 3.0}  # fmt: skip


def test_the_flow_of_a_first_cut_on_events(manager: CutManager):
    flow = manager.flow(names=["on_time", "quality", "electron"])
    assert [row["n"] for row in flow.values()] == [4, 3, 2, 1]
    assert list(flow) == ["all", "on_time", "quality", "electron"]
    assert flow["quality"]["n_alone"] == 3
    assert flow["on_time"]["n_minus_one"] == 2
    assert flow["all"]["n_minus_one"] == 1
    only = manager.flow(names=["on_time"])
    assert [row["n"] for row in only.values()] == [4, 3]
    assert manager.flow(names=[])["all"]["n"] == 4
    objects = manager.object_flow(names=["on_time", "quality"])
    assert [row["n"] for row in objects.values()] == [6, 5, 3]


def test_weights(manager: CutManager):
    weights = np.array([1.0, 2.0, -4.0, 8.0])
    flow = manager.flow(weights, ["quality", "on_time"])
    assert [row["sumw"] for row in flow.values()] == [7.0, 5.0, 9.0]
    assert [row["sumw2"] for row in flow.values()] == [85.0, 81.0, 65.0]
    with pytest.raises(ValueError, match="weights"):
        manager.flow(weights[:2])


def test_missing_values_fail():
    made = CutManager(3, [1, 0, 2])
    made.add("truth", ak.Array([[None], [], [True, None]]))
    made.add("event", ak.Array([True, None, True]))
    assert made.events(["truth"]).tolist() == [False, False, True]
    assert made.events(["event"]).tolist() == [True, False, True]
    assert made.objects(["truth"]).dtype == bool


def test_masks_jagged_and_flat_are_the_same(manager: CutManager):
    manager.add("flat", np.array([True, False, True, False, True, True]))
    assert manager.events(["flat"]).tolist() == manager.events(["quality"]).tolist()


def test_groups_and_states(manager: CutManager):
    assert manager.groups == {"Tracker": ("quality", "electron"), "Event": ("on_time",)}
    manager.save_state("nominal")
    manager.toggle({"quality": False})
    assert manager.active == ("on_time", "electron")
    assert not manager.is_active("quality")
    manager.toggle_groups({"Tracker": False})
    assert manager.active == ("on_time",)
    manager.restore_state("nominal")
    assert manager.active == manager.names
    manager.toggle_groups({"Tracker": False, "Event": False})
    assert manager.active == ()
    assert manager.events().all()
    manager.restore_original()
    assert manager.active == manager.names
    assert manager.saved_states == ("nominal",)
    assert manager.description("quality") == "a good track"


def test_mistakes_change_nothing(manager: CutManager):
    with pytest.raises(UserError, match="Did you mean 'quality'"):
        manager.toggle({"on_time": False, "qualty": False})
    with pytest.raises(UserError, match="Did you mean 'Tracker'"):
        manager.toggle_groups({"Event": False, "Traker": False})
    assert manager.active == manager.names
    with pytest.raises(UserError, match="No state 'a'"):
        manager.restore_state("a")
    for name in ("quality", "all"):
        with pytest.raises(UserError, match="already"):
            manager.add(name, EVENTS)
    with pytest.raises(ValueError, match="7 objects of 4 events, the others are on 6 objects"):
        manager.add("x", ak.Array([[True] * 2, [], [True] * 2, [True] * 3]))
    with pytest.raises(ValueError, match="has 5 values for 4 events"):
        manager.add("x", np.ones(5, dtype=bool))
    with pytest.raises(ValueError, match="truth values"):
        manager.add("x", np.ones(4))
    with pytest.raises(UserError, match="on objects"):
        manager.require(quality=True)
    assert len(manager.names) == 3


def test_cuts_beyond_the_bits_are_refused():
    made = CutManager(2)
    for number in range(64):
        made.add(f"cut_{number}", np.array([True, number != 63]))
    assert made.events().tolist() == [True, False]
    assert made.flow()["cut_63"]["n"] == 1
    with pytest.raises(UserError, match="64 fit"):
        made.add("more", np.ones(2, dtype=bool))


def test_require_inverts(manager: CutManager):
    manager.add("other", np.array([True, False, True, False]))
    assert manager.require(on_time=True, other=False).tolist() == [False, True, False, True]


def test_the_table_for_people(manager: CutManager):
    groups = {name: manager.group(name) for name in manager.names}
    lines = table(manager.flow(names=["on_time", "quality"]), groups, {"quality": "a good track"})
    assert [line["Cut"] for line in lines] == ["No cuts", "on_time", "quality"]
    assert lines[2]["Group"] == "Tracker"
    assert lines[2]["Description"] == "a good track"
    assert (lines[2]["Events Passing"], lines[2]["Absolute [%]"]) == (2, 50.0)
    assert lines[2]["Relative [%]"] == pytest.approx(200 / 3)
    assert table(CutManager(0).flow())[0]["Absolute [%]"] is None


@st.composite
def chunks(draw: st.DrawFn) -> tuple[list[int], list[tuple[bool, list]]]:
    """Counts of objects, and masks on objects or events."""
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    masks = []
    for _ in range(draw(st.integers(1, 5))):
        on_objects = draw(st.booleans())
        length = sum(counts) if on_objects else len(counts)
        masks.append((on_objects, draw(st.lists(st.booleans(), min_size=length, max_size=length))))
    return counts, masks


def filled(counts: list[int], masks: list[tuple[bool, list]], start: int = 0, stop: int | None = None) -> CutManager:
    """A manager of some of the events."""
    edges = np.concatenate([[0], np.cumsum(counts)])
    stop = len(counts) if stop is None else stop
    made = CutManager(stop - start, counts[start:stop])
    for number, (on_objects, mask) in enumerate(masks):
        if on_objects:
            jagged = ak.unflatten(
                np.array(mask[edges[start] : edges[stop]], dtype=bool), np.array(counts[start:stop], dtype=int)
            )
            made.add(f"c{number}", jagged)
        else:
            made.add(f"c{number}", np.array(mask[start:stop], dtype=bool))
    return made


def naive(counts: list[int], masks: list[tuple[bool, list]], names: list[int]) -> list[bool]:
    """Which events pass, looked at one by one."""
    edges = np.concatenate([[0], np.cumsum(counts)])
    passed = []
    for event in range(len(counts)):
        whole = all(masks[n][1][event] for n in names if not masks[n][0])
        objects = [n for n in names if masks[n][0]]
        any_object = any(all(masks[n][1][o] for n in objects) for o in range(edges[event], edges[event + 1]))
        passed.append(whole and (any_object or not objects))
    return passed


@given(chunks(), st.data())
def test_combinations_are_those_of_a_plain_loop(chunk, data):
    counts, masks = chunk
    made, every = filled(counts, masks), list(range(len(masks)))
    flow = made.flow()
    for number in every:
        prefix, others = every[: number + 1], [n for n in every if n != number]
        row = flow[f"c{number}"]
        assert row["n"] == sum(naive(counts, masks, prefix))
        assert row["n_alone"] == sum(naive(counts, masks, [number]))
        assert row["n_minus_one"] == sum(naive(counts, masks, others))
        assert made.without(f"c{number}").tolist() == naive(counts, masks, others)
    dropped = data.draw(st.sets(st.sampled_from(every)))
    kept = [n for n in every if n not in dropped]
    assert made.without(*(f"c{n}" for n in dropped)).tolist() == naive(counts, masks, kept)


@given(chunks(), st.data())
def test_flows_of_chunks_add(chunk, data):
    counts, masks = chunk
    cut = data.draw(st.integers(0, len(counts)))
    whole = filled(counts, masks).flow()
    halves = [filled(counts, masks, 0, cut).flow(), filled(counts, masks, cut).flow()]
    for name, row in whole.items():
        for key, value in row.items():
            assert value == halves[0][name][key] + halves[1][name][key]
