"""Hash random numbers: their construction, their statistics, and that they depend on nothing but what they should."""

from __future__ import annotations

import hashlib

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.corrections.random_numbers import normal, positions, uniform
from scipy import stats
from scipy.special import ndtri

WORDS = st.integers(0, 2**64 - 1)
N = 100_000
#: Of a correlation of independent numbers, 1/√N; the data are fixed, so no test fails by chance.
LARGEST_CORRELATION = 4 / np.sqrt(N)

#: Computed by :func:`by_hand` for the words of :func:`test_the_numbers_never_change`.
GOLDEN_STATES = [11963144509261550164, 5150671551784879256]
GOLDEN_UNIFORM = [0.6485233633349704, 0.1088725093236883]
GOLDEN_NORMAL = [1.00103987270427, -1.1079890080014927]


def by_hand(run: int, block: int, event: int, *, stream: str, index: int = -1, seed: int = 0, draw: int = 0) -> int:
    """The last state of the construction in the module's text, with Python's integers."""
    state = int.from_bytes(hashlib.sha256(stream.encode("utf-8")).digest()[:8], "big")
    for word in (seed, draw, run, block, event, index):
        z = (state + 0x9E3779B97F4A7C15 * (word % 2**64 + 1)) % 2**64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        state = z ^ (z >> 31)
    return state


def as_uniform(state: int) -> float:
    return (2 * (state >> 12) + 1) / 2**53


def identity(n: int = N, run: int = 1, block: int = 1, first: int = 1) -> tuple[np.ndarray, ...]:
    """``n`` events that follow each other."""
    return np.full(n, run), np.full(n, block), np.arange(first, first + n, dtype=np.uint64)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS, st.text(max_size=8), WORDS, st.integers(-(2**63), 2**64 - 1), st.integers(0, 9))
def test_the_numbers_are_those_of_the_construction(run, block, event, stream, index, seed, draw):
    words = tuple(np.array([word], np.uint64) for word in (run, block, event))
    choice = {"stream": stream, "seed": seed, "draw": draw}
    expected = as_uniform(by_hand(run, block, event, index=index, **choice))
    assert uniform(words, index=np.array([index], np.uint64), **choice)[0] == expected
    assert normal(words, index=np.array([index], np.uint64), **choice)[0] == ndtri(expected)
    assert uniform(words, **choice)[0] == as_uniform(by_hand(run, block, event, **choice))


def test_the_numbers_never_change():
    # Golden numbers: a result of today must come out again tomorrow.
    words = (np.array([315267, 1]), np.array([205, 2**32 - 1]), np.array([295436141, 2**64 - 1], np.uint64))
    assert [by_hand(315267, 205, 295436141, stream="smear"), by_hand(1, 1, 1, stream="")] == GOLDEN_STATES
    assert uniform(words, stream="smear").tolist() == GOLDEN_UNIFORM
    assert normal(words, stream="smear", index=np.array([0, 7]), seed=1, draw=2).tolist() == pytest.approx(
        GOLDEN_NORMAL, rel=1e-14
    )


def test_one_step_is_splitmix64():
    # First outputs of SplitMix64 from the seed 1234567: https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
    from mucoffea.corrections.random_numbers import _absorb

    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert _absorb(np.full(5, 1234567, np.uint64), np.arange(5, dtype=np.uint64)).tolist() == known


def test_the_interval_is_open():
    assert 0 < as_uniform(0) == 2.0**-53
    assert as_uniform(2**64 - 1) == 1 - 2.0**-53 < 1
    assert np.isfinite(ndtri([as_uniform(0), as_uniform(2**64 - 1)])).all()


VARIED = {
    "events": lambda n: uniform(identity(n), stream="a"),
    "large event numbers": lambda n: uniform(identity(n, first=2**63), stream="a"),
    "luminosity blocks": lambda n: uniform((np.ones(n, int), np.arange(n), np.ones(n, int)), stream="a"),
    "runs": lambda n: uniform((np.arange(n), np.ones(n, int), np.ones(n, int)), stream="a"),
    "objects": lambda n: uniform(tuple(np.ones((3, n), int)), stream="a", index=np.arange(n)),
    "seeds": lambda n: np.concatenate([uniform(identity(10), stream="a", seed=seed) for seed in range(n // 10)]),
    "draws": lambda n: np.concatenate([uniform(identity(10), stream="a", draw=draw) for draw in range(n // 10)]),
    "streams": lambda n: np.concatenate([uniform(identity(10), stream=f"s{one}") for one in range(n // 10)]),
}


@pytest.mark.parametrize("varied", VARIED)
def test_numbers_are_uniform_and_normal_whatever_is_counted_up(varied: str):
    values = VARIED[varied](N if varied not in ("seeds", "draws", "streams") else N // 5)
    assert len(np.unique(values)) == len(values)
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    counts = np.histogram(values, 256, (0, 1))[0]
    assert stats.chisquare(counts).pvalue > 1e-3
    # Neighbours, and those one further, are independent: the pairs are uniform in the square.
    for step in (1, 2):
        pairs = np.histogram2d(values[:-step], values[step:], 16, ((0, 1), (0, 1)))[0]
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-3
    gauss = ndtri(values)
    error = 1 / np.sqrt(len(gauss))
    moments = [np.mean(gauss**power) for power in (1, 2, 3, 4)]
    widths = [error * np.sqrt(one) for one in (1, 2, 15, 96)]  # of Gaussian numbers
    assert np.all(np.abs(np.subtract(moments, [0, 1, 0, 3])) < 4 * np.array(widths))


def test_one_and_the_same_event_has_independent_numbers_for_each_purpose():
    events = identity()
    other = tuple(events)
    sets = [
        uniform(events, stream="a"),
        uniform(events, stream="b"),
        uniform(events, stream="a", seed=1),
        uniform(events, stream="a", draw=1),
        uniform(events, stream="a", index=np.zeros(N, int)),
        uniform(events, stream="a", index=np.ones(N, int)),
        uniform((other[0] + 1, *other[1:]), stream="a"),
        uniform((other[0], other[1] + 1, other[2]), stream="a"),
        uniform((other[1] * 0 + 1, other[2], other[0]), stream="a"),  # block and event exchanged
    ]
    correlation = np.corrcoef(sets) - np.eye(len(sets))
    assert np.abs(correlation).max() < LARGEST_CORRELATION
    for one, two in ((0, 1), (0, 4), (4, 5), (0, 6)):
        pairs = np.histogram2d(sets[one], sets[two], 16, ((0, 1), (0, 1)))[0]
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-3


def test_every_input_bit_flips_half_of_the_output_bits():
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**64, (4, 400), dtype=np.uint64)  # run, block, event, index

    def bits(changed: np.ndarray) -> np.ndarray:
        values = uniform(tuple(changed[:3]), stream="a", index=changed[3])
        integers = (values * 2**53).astype(np.uint64) >> np.uint64(1)  # the upper 52 bits of the state
        return (integers[:, None] >> np.arange(52, dtype=np.uint64)) & np.uint64(1)

    before = bits(words)
    for word in range(4):
        for bit in range(64):
            changed = words.copy()
            changed[word] ^= np.uint64(1) << np.uint64(bit)
            flipped = bits(changed) != before
            # 400 × 52 fair coins: 0.5 ± 0.0035; each output bit: 0.5 ± 0.025.
            assert abs(flipped.mean() - 0.5) < 5 * 0.5 / np.sqrt(flipped.size)
            assert np.abs(flipped.mean(axis=0) - 0.5).max() < 5.5 * 0.5 / np.sqrt(len(flipped))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(WORDS, st.integers(0, 4)), max_size=40), st.randoms(use_true_random=False), st.integers(1, 9))
def test_neither_chunks_nor_order_nor_selection_change_a_number(events, random, chunk):
    event = np.array([one for one, _ in events], np.uint64)
    counts = np.array([count for _, count in events], np.int64)
    words = (np.full(len(event), 7), np.arange(len(event)), event)
    jets = ak.unflatten(np.arange(counts.sum()), counts)
    choice = {"stream": "resolution", "seed": 3}
    flat, jagged = uniform(words, **choice), normal(words, index=positions(jets), **choice)
    assert ak.num(jagged).tolist() == counts.tolist()

    pieces = [slice(start, start + chunk) for start in range(0, len(event), chunk)]
    for piece in pieces:
        part = tuple(word[piece] for word in words)
        assert uniform(part, **choice).tolist() == flat[piece].tolist()
        assert normal(part, index=positions(jets[piece]), **choice).to_list() == jagged[piece].to_list()

    order = np.arange(len(event))
    random.shuffle(order)
    shuffled = tuple(word[order] for word in words)
    assert uniform(shuffled, **choice).tolist() == flat[order].tolist()

    good = jets % 2 == 0
    selected = normal(words, index=positions(jets)[good], **choice)
    assert selected.to_list() == jagged[good].to_list()
    # As flat columns: one row for each object.
    rows = tuple(np.repeat(word, counts) for word in words)
    position = ak.to_numpy(ak.flatten(positions(jets)))
    assert normal(rows, index=position, **choice).tolist() == ak.flatten(jagged).to_list()


def test_types_of_nanoaod_and_records_are_taken():
    record = ak.zip({"run": np.uint32([1, 1]), "luminosityBlock": np.uint32([2, 3]), "event": np.uint64([4, 2**63])})
    words = tuple(np.array(column) for column in ([1, 1], [2, 3], np.array([4, 2**63], np.uint64)))
    assert uniform(record, stream="a").tolist() == uniform(words, stream="a").tolist()


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(TypeError, match="event is of type float64"):
        uniform((np.ones(2, int), np.ones(2, int), np.ones(2)), stream="a")
    with pytest.raises(ValueError, match="2, 2, 3 entries"):
        uniform((np.ones(2, int), np.ones(2, int), np.ones(3, int)), stream="a")
    with pytest.raises(ValueError, match="index has 2 events"):
        uniform(identity(3), stream="a", index=np.zeros(2, int))
    with pytest.raises(ValueError, match="nested 3 deep"):
        uniform(identity(1), stream="a", index=ak.Array([[[1]]]))
