"""Models of how often agents are right where they say how sure they are."""

from __future__ import annotations

import json
import math
from random import Random
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.calibration import (
    FEWEST,
    ISOTONIC,
    MOST_MODELS,
    MOST_STEPS,
    Cell,
    Isotonic,
    Models,
    Platt,
    Point,
    fit,
    isotonic,
    pack_models,
    platt,
    unpack_models,
)

claims = st.integers(0, 1000).map(lambda each: each / 1000)
points = st.builds(
    Point,
    agent=st.sampled_from(("ann", "bot", "")),
    tool=st.sampled_from(("pay", "mail", "")),
    confidence=claims,
    right=st.booleans(),
    weight=st.sampled_from((1.0, 5.0, 20.0)),
)


@st.composite
def cells(draw: st.DrawFn) -> list[Cell]:
    def one(claim: float, weight: int, right: float) -> Cell:
        return claim, weight * right, float(weight)

    shares = st.integers(0, 8).map(lambda each: each / 8)
    return draw(
        st.lists(st.builds(one, claims, st.integers(1, 40), shares), min_size=1, max_size=40)
    )


def drawn(many: int, seed: int = 1, agent: str = "bot", tool: str = "pay") -> list[Point]:
    """Return calls of an agent that is right 15 % less often than it says."""
    dice = Random(seed)
    return [
        Point(agent=agent, tool=tool, confidence=claim, right=dice.random() < claim - 0.15)
        for claim in (round(dice.uniform(0.5, 1), 2) for _ in range(many))
    ]


def brier(model: Any, given_: list[Cell]) -> float:
    """Return the squared error of *model* over right and wrong parts of each cell."""
    return sum(
        right * (1 - model(claim)) ** 2 + (weight - right) * model(claim) ** 2
        for claim, right, weight in given_
    )


def stepped(given_: list[Cell]) -> Isotonic:
    return Isotonic(of=1, steps=tuple((x, right / weight) for x, right, weight in isotonic(given_)))


@given(cells())
def test_pooled_shares_rise_and_stay_shares(given_: list[Cell]) -> None:
    shares = [right / weight for _, right, weight in isotonic(given_)]
    assert all(0 <= each <= 1 for each in shares)
    assert all(low < high for low, high in zip(shares, shares[1:], strict=False))


@given(cells())
def test_pooling_keeps_the_mean(given_: list[Cell]) -> None:
    pooled = isotonic(given_)
    for at in (1, 2):
        assert sum(each[at] for each in pooled) == pytest.approx(sum(each[at] for each in given_))


@given(cells())
def test_what_was_pooled_is_no_worse_than_the_claims(given_: list[Cell]) -> None:
    assert brier(stepped(given_).at, given_) <= brier(lambda claim: claim, given_) + 1e-9


@given(cells(), st.integers(0, 99))
def test_the_order_of_labels_does_not_matter(given_: list[Cell], seed: int) -> None:
    other = list(given_)
    Random(seed).shuffle(other)
    assert isotonic(other) == isotonic(given_)


@given(cells())
def test_ten_times_the_weight_is_the_same_model(given_: list[Cell]) -> None:
    heavy = [(claim, right * 10, weight * 10) for claim, right, weight in given_]
    assert stepped(heavy).steps == stepped(given_).steps
    few, many = platt(given_, 60), platt(heavy, 60)
    assert few.at(0.8) == pytest.approx(many.at(0.8), abs=1e-6)


@given(cells())
def test_two_labels_of_one_claim_are_one_of_both(given_: list[Cell]) -> None:
    halves = [(x, right / 2, weight / 2) for x, right, weight in given_ for _ in range(2)]
    assert stepped(halves).steps == stepped(given_).steps


@given(cells())
def test_a_pooled_model_is_the_best_that_rises(given_: list[Cell]) -> None:
    """The min-max formula: max over starts of min over ends of the mean between them."""
    model = stepped(given_)
    at = sorted({each[0] for each in given_})
    sums = [
        (sum(c[1] for c in given_ if c[0] == x), sum(c[2] for c in given_ if c[0] == x)) for x in at
    ]

    def mean(first: int, last: int) -> float:
        part = sums[first : last + 1]
        return sum(each[0] for each in part) / sum(each[1] for each in part)

    for here, claim in enumerate(at):
        best = max(
            min(mean(first, last) for last in range(here, len(at))) for first in range(here + 1)
        )
        assert model.at(claim) == pytest.approx(best)


def test_the_steps_are_those_of_scikit_learn() -> None:
    """IsotonicRegression of scikit-learn 1.9.1, with sample weights, at the claims seen."""
    weighted = [
        *((0.9, 1, 1), (0.7, 0, 20), (0.95, 1, 1), (0.5, 1, 20), (0.6, 1, 1), (0.6, 1, 1)),
        *((0.9, 0, 1), (0.5, 1, 20), (0.8, 1, 1), (0.5, 0, 1), (0.6, 1, 1), (0.95, 1, 20)),
        *((0.95, 1, 20), (0.6, 1, 1), (0.8, 1, 1), (0.6, 0, 1), (0.95, 1, 1), (0.5, 1, 1)),
        *((0.6, 0, 20), (0.8, 1, 20), (0.5, 1, 1), (0.95, 1, 1), (0.5, 0, 1), (0.8, 1, 20)),
    ]
    model = stepped([(claim, right * weight, weight) for claim, right, weight in weighted])
    low, middle = 0.516853933, 0.977272727
    for claim, share in ((0.5, low), (0.6, low), (0.7, low), (0.8, middle), (0.9, middle)):
        assert model.at(claim) == pytest.approx(share, abs=1e-9)
    assert model.at(0.95) == 1


def test_the_sigmoid_is_that_of_scikit_learn() -> None:
    """sklearn.calibration._SigmoidCalibration of scikit-learn 1.9.1, on 216 labels."""
    given_ = [
        *((0.5, 5, 12), (0.6, 6, 10), (0.7, 8, 14), (0.8, 21, 30)),
        *((0.9, 40, 50), (0.95, 52, 60), (0.99, 37, 40)),
    ]
    model = platt([(claim, float(right), float(of)) for claim, right, of in given_], 216)
    assert (model.slope, model.offset) == (
        pytest.approx(4.993316, abs=1e-4),
        pytest.approx(-2.941261, abs=1e-4),
    )


@given(cells(), st.integers(FEWEST, ISOTONIC))
def test_a_sigmoid_rises_and_is_never_sure(given_: list[Cell], labels: int) -> None:
    model = platt(given_, labels)
    shares = [model.at(each / 20) for each in range(21)]
    assert shares == sorted(shares)
    assert all(math.isfinite(each) and 0 <= each <= 1 for each in shares)


def test_an_agent_that_is_surest_where_it_is_wrong_is_not_believed_at_all() -> None:
    model = platt([(0.5, 30.0, 30.0), (0.9, 0.0, 30.0)], 60)
    assert model.slope == 0
    assert model.at(0.9) == model.at(0.5) == pytest.approx(0.5)


def test_between_two_claims_that_were_seen_the_lower_holds() -> None:
    model = Isotonic(of=9, steps=((0.5, 0.4), (0.9, 0.7)))
    assert [model.at(each) for each in (0.1, 0.5, 0.89, 0.9, 1.0)] == [0.4, 0.4, 0.4, 0.7, 0.7]


@pytest.mark.parametrize(
    ("labels", "kind"),
    [(0, None), (FEWEST - 1, None), (FEWEST, Platt), (ISOTONIC - 1, Platt), (ISOTONIC, Isotonic)],
)
def test_the_number_of_labels_says_which_model(labels: int, kind: type | None) -> None:
    model = fit(drawn(labels)).model("bot", "pay")
    assert model is None if kind is None else type(model) is kind
    assert model is None or model.of == labels


def test_few_labels_are_pooled_to_the_tool_then_the_agent_then_everything() -> None:
    models = fit(
        [
            *drawn(60, 1, "ann", "pay"),
            *drawn(60, 2, "bot", "mail"),
            *drawn(20, 3, "bot", "pay"),
            *drawn(20, 4, "bot", "ship"),
        ]
    )

    def key(agent: str, tool: str) -> list[tuple[str, str]]:
        model = models.model(agent, tool)
        return [each for each, one in models.by.items() if one is model]

    assert key("ann", "pay") == [("ann", "pay")]
    assert key("bot", "pay") == [("", "pay")], "with what is known of ann's payments"
    assert key("bot", "ship") == [("bot", "")]
    assert key("eve", "scan") == key("", "") == [("", "")]


def test_an_over_confident_agent_is_corrected_by_what_it_is_off() -> None:
    for many, close in ((400, 0.12), (20_000, 0.05)):
        calibrated = fit(drawn(many)).calibrated("bot", "pay", 0.9)
        assert calibrated == pytest.approx(0.75, abs=close)


@pytest.mark.parametrize("claimed", [-0.1, 1.1, math.nan, True, "0.9", None])
def test_what_is_no_claim_is_not_corrected(claimed: Any) -> None:
    assert fit(drawn(60)).calibrated("bot", "pay", claimed) is None


def test_nothing_is_known_at_first() -> None:
    assert Models().calibrated("bot", "pay", 0.9) is None
    assert fit([]) == Models()


@given(st.lists(points, max_size=30), st.sampled_from((1, 3, 50)))
def test_models_are_read_back_as_they_were(few: list[Point], times: int) -> None:
    models = fit(few * times)
    read = unpack_models(json.loads(json.dumps(pack_models(models))))
    assert read == models
    for each in few:
        shares = [read.calibrated(each.agent, each.tool, at / 10) for at in range(11)]
        known = [share for share in shares if share is not None]
        assert known == sorted(known) and all(0 <= share <= 1 for share in known)


@pytest.mark.parametrize(
    "packed",
    [
        None,
        [],
        {},
        {"v": 2, "models": []},
        {"v": 1, "models": [["bot", "pay"]]},
        {"v": 1, "models": [["", "", {"of": 60, "slope": -1.0, "offset": 0.0}]]},
        {"v": 1, "models": [["", "", {"of": 60, "slope": "1", "offset": 0.0}]]},
        {"v": 1, "models": [["", "", {"of": -1, "slope": 1.0, "offset": 0.0}]]},
        {"v": 1, "models": [["", "", {"of": 60, "slope": 1.0, "offset": math.nan}]]},
        {"v": 1, "models": [["", "", {"of": 60, "steps": []}]]},
        {"v": 1, "models": [["", "", {"of": 60, "steps": [[0.5, 0.9], [0.9, 0.5]]}]]},
        {"v": 1, "models": [["", "", {"of": 60, "steps": [[0.5, 0.9], [0.4, 0.95]]}]]},
        {"v": 1, "models": [["", "", {"of": 60, "steps": [[0.5, 0.9], [0.6, 1.1]]}]]},
        {"v": 1, "models": [["", "", {"of": 60, "steps": [[0.5, -0.1]]}]]},
        {"v": 1, "models": [["", "", 3]]},
    ],
)
def test_what_are_no_models_is_refused(packed: Any) -> None:
    with pytest.raises(ValueError):
        unpack_models(packed)


def test_models_stay_small_however_many_claims_and_tools_there_are() -> None:
    steep = [
        Point(agent="bot", tool="pay", confidence=at / 1000, right=hit < at, weight=1.0)
        for at in range(1001)
        for hit in range(0, 1000, 100)
    ]
    staircase = [
        Point(confidence=at / 1000, right=True, weight=float(at + 1)) for at in range(1001)
    ] + [Point(confidence=at / 1000, right=False, weight=50.0) for at in range(1001)]
    for model in (*fit(steep).by.values(), *fit(staircase).by.values()):
        assert isinstance(model, Isotonic) and len(model.steps) <= MOST_STEPS
    models = fit(
        Point(agent=f"agent {at % 40}", tool=f"tool {at % 601}", confidence=0.5, right=True)
        for at in range(35_000)
    )
    assert sum(bool(tool) and not agent for agent, tool in models.by) == MOST_MODELS
    assert len(models.by) <= 3 * MOST_MODELS + 1


def test_a_model_makes_claims_better() -> None:
    models = fit(drawn(5_000))
    fresh = drawn(5_000, seed=2)
    claimed = [(each.confidence - each.right) ** 2 for each in fresh]
    corrected = [
        (models.calibrated("bot", "pay", each.confidence) or 0.0) - each.right for each in fresh
    ]
    assert mean(each**2 for each in corrected) < mean(claimed) - 0.01  # Brier scores
