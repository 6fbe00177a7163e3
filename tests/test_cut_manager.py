"""The cut manager: levels, groups, states, combinations and flows, against a plain loop over events and objects."""

from __future__ import annotations

import itertools

import awkward as ak
import numpy as np
import pytest
from coffea.analysis_tools import PackedSelection
from coffea.processor import accumulate
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.selections.cut_flow import cut_flow, table
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
    made.add("masked", np.ma.masked_array([True, True, True], [False, True, False]))
    assert made.events(["masked"]).tolist() == [True, False, True]
    # A track without simulated particles: the largest of none is None, for one track or for all of an event.
    nhits = ak.Array([[[3, 5]], [], [[], [1]]])
    made.add("most_hits", ak.max(nhits, axis=2) > 2)
    assert made.objects(["most_hits"]).tolist() == [True, False, False]
    lists = CutManager(3, [1, 0, 2])
    lists.add("list", ak.Array([[True], None, [False, True]]))
    assert lists.events().tolist() == [True, False, True]


def test_cuts_on_events_and_objects_in_both_orders():
    events, objects = np.array([True, False, True]), ak.Array([[True, False], [True], []])
    first, last = CutManager(3, [2, 1, 0]), CutManager(3, [2, 1, 0])
    first.add("event", events)
    first.add("object", objects)
    last.add("object", objects)
    last.add("event", events)
    expected = ak.to_numpy(ak.any(objects & events, axis=1))
    for made in (first, last):
        assert made.events().tolist() == expected.tolist() == [True, False, False]
        assert made.objects().tolist() == ak.flatten(objects & events).tolist()
        assert made.flow()["all"]["n_minus_one"] == 1
    assert [row["n"] for row in first.flow().values()] == [3, 2, 1]
    assert [row["n"] for row in last.flow().values()] == [3, 2, 1]
    assert last.flow()["object"]["n_minus_one"] == 2
    assert {name: mask.tolist() for name, mask in first.pass_bits().items()} == {
        "event": [True, False, True],
        "object": [True, False, True],
    }


def test_a_flat_mask_of_as_many_objects_as_events():
    made = CutManager(2, [2, 0])
    made.add("event", np.array([True, False]))
    made.add("object", np.array([True, False]), level="object")
    made.add("jagged", ak.Array([[True, False], []]))
    assert made.pass_bits()["object"].tolist() == made.pass_bits()["jagged"].tolist()
    assert made.objects(["event"]).tolist() == [True, True]
    assert made.objects(["object"]).tolist() == [True, False]
    with pytest.raises(ValueError, match="has 2 values for 3 events, which have 2 objects"):
        CutManager(3, [2, 0, 0]).add("x", np.array([True, False]), level="event")


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
    with pytest.raises(ValueError, match="; event 0 has 1 here and 2 there"):
        manager.add("x", ak.Array([[True], [True], [True], [True] * 3]))
    with pytest.raises(ValueError, match="has no counts"):
        CutManager(1).add("x", ak.Array([[True]]))
    with pytest.raises(ValueError, match="not lists of them"):
        manager.add("x", ak.Array([[[True], []], [], [[]], [[], [], []]]))
    with pytest.raises(ValueError, match="truth values"):
        manager.add("x", ak.Array([[1.0, 2.0], [], [1.0], [1.0, 2.0, 3.0]]))
    with pytest.raises(ValueError, match="counts have shape"):
        CutManager(2, [1])
    with pytest.raises(UserError, match="names the cut 'quality' twice"):
        manager.flow(names=["quality", "quality"])
    for use in (manager.flow, manager.object_flow, manager.events, manager.objects):
        with pytest.raises(UserError, match="no cut 'qualty'"):
            use(names=["qualty"])
    with pytest.raises(UserError, match="Did you mean 'quality'"):
        manager.without("qualty")
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
    flow = manager.flow(names=["on_time", "quality"])
    lines = manager.table(flow)
    assert list(lines[0]) == ["Cut", "Group", "Events Passing", "Absolute [%]", "Relative [%]", "Description"]
    assert list(lines[0].values()) == ["No cuts", "", 4, 100.0, 100.0, ""]
    # Of chunks that were added, as of one: percentages follow from the sums.
    twice = accumulate([flow, flow])
    assert manager.table(twice) == [{**line, "Events Passing": 2 * line["Events Passing"]} for line in lines]
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


@given(chunks())
def test_objects_are_those_of_awkward_arrays(chunk):
    counts, masks = chunk
    made = filled(counts, masks)
    passed = ak.unflatten(np.ones(sum(counts), dtype=bool), np.array(counts, dtype=int))
    sizes, alone = [sum(counts)], []
    for on_objects, mask in masks:
        flat = np.array(mask, dtype=bool)
        passed = passed & (ak.unflatten(flat, np.array(counts, dtype=int)) if on_objects else flat)
        sizes.append(int(ak.sum(passed)))
        alone.append(int(flat.sum() if on_objects else np.repeat(flat, counts).sum()))
    assert made.objects().tolist() == ak.flatten(passed).tolist()
    flow = made.object_flow()
    assert [row["n"] for row in flow.values()] == sizes
    assert [flow[name]["n_alone"] for name in made.names] == alone
    if any(on_objects for on_objects, _ in masks):
        assert made.events().tolist() == ak.any(passed, axis=1).tolist()


@given(chunks(), st.data())
def test_flows_of_any_chunks_add(chunk, data):
    counts, masks = chunk
    borders = data.draw(st.lists(st.integers(0, len(counts)), max_size=4))
    # Small whole numbers, so that sums are exact in any order.
    weights = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=len(counts), max_size=len(counts))), float)
    edges = [0, *sorted(borders), len(counts)]
    parts = [filled(counts, masks, a, b).flow(weights[a:b]) for a, b in itertools.pairwise(edges)]
    assert accumulate(parts) == filled(counts, masks).flow(weights)
    parts = [filled(counts, masks, a, b).object_flow() for a, b in itertools.pairwise(edges)]
    assert accumulate(parts) == filled(counts, masks).object_flow()


@given(st.lists(st.booleans(), min_size=3, max_size=60), st.integers(0, 1000))
def test_of_events_alone_it_is_the_cut_flow_of_a_packed_selection(mask, seed):
    rng = np.random.default_rng(seed)
    masks = {"a": np.array(mask), "b": rng.random(len(mask)) < 0.5, "c": rng.random(len(mask)) < 0.5}
    weights = rng.normal(1, 1, len(mask))
    packed, made = PackedSelection(), CutManager(len(mask))
    for name, one in masks.items():
        packed.add(name, one)
        made.add(name, one)
    assert made.flow(weights, ["c", "a"]) == cut_flow(packed, ["c", "a"], weights)
    assert made.flow(ak.Array(weights)) == cut_flow(packed, list(masks), weights)
    assert made.events(["a", "c"]).tolist() == packed.all("a", "c").tolist()
    assert made.require(a=True, b=False).tolist() == packed.require(a=True, b=False).tolist()
