"""Contributions are Shapley values: they add up to the answer minus the mean answer of the background rows."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.explanations.contributions import Answer, contributions
from predictions.explanations.surface import NotExplained, surface
from predictions.serving.artifacts.sureness import Calibration
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict

DEMO_MODELS = ("iris", "diabetes", "wine", "breast-cancer")


def linear(rows: list[list[Any]]) -> Any:
    return np.array(rows, dtype=float) @ np.arange(1.0, len(rows[0]) + 1)


def product(rows: list[list[Any]]) -> Any:
    return np.prod(np.array(rows, dtype=float), axis=1)


def random_rows(count: int, width: int) -> list[list[float]]:
    return np.random.default_rng(0).normal(size=(count, width)).tolist()


def by_definition(answer: Answer, row: list[float], background: list[list[float]], place: int) -> float:
    """The Shapley value of one feature by its definition: a sum over all sets of the other features."""
    others, count = [other for other in range(len(row)) if other != place], len(row)

    def value(chosen: set[int]) -> float:
        rows = [[row[one] if one in chosen else other[one] for one in range(count)] for other in background]
        return float(np.mean(answer(rows)))

    return sum(
        (value({*chosen, place}) - value(set(chosen)))
        * math.factorial(size)
        * math.factorial(count - size - 1)
        / math.factorial(count)
        for size in range(count)
        for chosen in combinations(others, size)
    )


@pytest.mark.parametrize("answer", [linear, product])
def test_contributions_of_few_features_are_those_of_the_definition(answer: Answer) -> None:
    row, *background = random_rows(9, 4)

    found = contributions(answer, row, background, 10.0)

    assert found.method == "exact"
    assert found.values == pytest.approx([by_definition(answer, row, background, place) for place in range(4)])


def test_contributions_of_a_linear_model_are_exact_for_any_number_of_features() -> None:
    row, *background = random_rows(40, 60)

    found = contributions(linear, row, background, 10.0)

    mean = np.mean(background, axis=0)
    assert found.method == "exact"
    assert found.values == pytest.approx((np.arange(1.0, 61.0) * (np.array(row) - mean)).tolist())


def test_many_features_with_interactions_are_sampled_and_come_close() -> None:
    def pairs(rows: list[list[Any]]) -> Any:
        table = np.array(rows, dtype=float)
        return table[:, 0] * table[:, 1] + table[:, 2:].sum(axis=1)

    row, background = [2.0, 3.0, *[1.0] * 28], [[0.0] * 30]

    found = contributions(pairs, row, background, 0.3)

    assert found.method == "sampled"
    assert found.values == pytest.approx([3.0, 3.0, *[1.0] * 28])  # an order and its reverse split the effect of a pair


@given(st.integers(1, 25), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_contributions_add_up_whatever_the_function(width: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights, row, *background = random.normal(size=(rows + 2, width)).tolist()

    def answer(asked: list[list[Any]]) -> Any:
        table = np.array(asked, dtype=float)
        return np.tanh(table @ np.array(weights)) + table.max(axis=1) * table.min(axis=1)

    found = contributions(answer, row, background, 0.05)

    assert found.base + sum(found.values) == pytest.approx(float(answer([row])[0]), abs=1e-9)
    assert found.base == pytest.approx(float(np.mean(answer([list(one) for one in background]))), abs=1e-9)


@pytest.mark.parametrize("width", [9, 10, 11, 12, 13])
def test_base_is_the_mean_answer_of_all_background_rows(width: int) -> None:
    row, *background = random_rows(51, width)

    found = contributions(product, row, background, 0.5)

    assert found.base == pytest.approx(float(np.mean(product(background))))
    assert found.answer == pytest.approx(float(product([row])[0]))
    assert found.base + sum(found.values) == pytest.approx(found.answer)


def all_but_the_last(rows: list[list[Any]]) -> Any:
    """1 where all features are 1 except the last, else 0."""
    table = np.array(rows, dtype=float)
    return ((table[:, :-1] == 1).all(axis=1) & (table[:, -1] == 0)).astype(float)


@pytest.mark.parametrize("width", [3, 4, 7, 10])
@pytest.mark.parametrize("rows", [1, 50])
def test_effects_that_add_up_by_chance_are_not_taken_for_contributions(width: int, rows: int) -> None:
    row, background = [1.0] * width, [[0.0] * width] * rows

    found = contributions(all_but_the_last, row, background, 10.0)

    # Of the orders of the features, one in `width` has the last feature at its end; only there the others count.
    assert found.method == "exact"
    assert found.values == pytest.approx([*[1 / width / (width - 1)] * (width - 1), -1 / width])


def test_feature_that_the_function_does_not_read_has_no_contribution() -> None:
    row, *background = random_rows(6, 5)

    found = contributions(lambda rows: product([one[:4] for one in rows]), row, background, 10.0)

    assert found.values[4] == pytest.approx(0.0, abs=1e-12)


def test_sampling_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def slow(rows: list[list[Any]]) -> Any:
        nonlocal now
        now += 1.0
        return product(rows)

    monkeypatch.setattr("predictions.explanations.contributions.time.monotonic", lambda: now)
    row, *background = random_rows(4, 40)

    contributions(slow, row, background, 20.0)

    assert 10 < now < 22


# --- Demo models ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DEMO_MODELS)
def test_contributions_of_a_demo_model_add_up(load: Callable[[str], Loaded], name: str) -> None:
    loaded = load(name)
    for row in loaded.manifest.golden.rows[:3]:
        shown = surface(loaded, row)

        found = contributions(shown.answer, row, loaded.manifest.background, 0.3)

        assert found.answer == pytest.approx(float(shown.answer([list(row)])[0]), abs=1e-6)
        assert abs(found.base + sum(found.values) - found.answer) < 1e-6


@pytest.mark.parametrize("name", ["iris", "diabetes", "breast-cancer"])
def test_contributions_of_models_with_few_features_or_none_that_interact_are_exact(
    load: Callable[[str], Loaded], name: str
) -> None:
    loaded = load(name)
    row = loaded.manifest.golden.rows[0]

    assert contributions(surface(loaded, row).answer, row, loaded.manifest.background, 10.0).method == "exact"


def calibrated_as(loaded: Loaded, calibration: Calibration | None) -> Loaded:
    sureness = loaded.manifest.sureness
    assert sureness
    changed = {"sureness": sureness.model_copy(update={"calibration": calibration})}
    return replace(loaded, manifest=loaded.manifest.model_copy(update=changed))


def calibration(method: str, **map_: Any) -> Calibration:
    losses = {"log_loss_before": 0.5, "log_loss_after": 0.4, "standard_error": 0.01}
    return Calibration.model_validate({"method": method, "maps": [map_], "rows": 300, **losses})


SIGMOID = calibration("sigmoid", slope=0.5, intercept=-1.0)
# A steep map with a large intercept: its probabilities are nearer to 1 than floats can tell.
STEEP = calibration("sigmoid", slope=4.0, intercept=20.0)
ISOTONIC = calibration("isotonic", x=[0.0, 0.5, 1.0], y=[0.01, 0.3, 0.9])


@pytest.mark.parametrize(
    ("calibration", "scale"),
    [(None, "log-odds"), (SIGMOID, "log-odds"), (STEEP, "log-odds"), (ISOTONIC, "probability")],
)
@pytest.mark.parametrize("keeps_coefficients", [True, False])
def test_explained_answer_is_the_probability_that_is_shown(
    load: Callable[[str], Loaded], calibration: Calibration | None, scale: str, keeps_coefficients: bool
) -> None:
    loaded = calibrated_as(load("breast-cancer"), calibration)
    if not keeps_coefficients:
        loaded = replace(loaded, manifest=loaded.manifest.model_copy(update={"log_odds": None}))
    for row in loaded.manifest.golden.rows:
        output = predict(loaded, [row])[0].output
        assert output
        shown = surface(loaded, row)

        [answer] = shown.answer([list(row)])

        assert (shown.scale, shown.label) == (scale, output["label"])
        share = 1 / (1 + math.exp(-answer)) if scale == "log-odds" else answer
        assert share == pytest.approx(output["probabilities"][output["label"]], rel=1e-3)


def test_calibrated_log_odds_are_explained_exactly(load: Callable[[str], Loaded]) -> None:
    loaded = load("breast-cancer")
    assert loaded.manifest.log_odds
    # Small log-odds, so that none is clipped: see `LOG_ODDS_LIMITS`.
    small = {"log_odds": [number / 10 for number in loaded.manifest.log_odds]}
    loaded = replace(loaded, manifest=loaded.manifest.model_copy(update=small))
    row, background = loaded.manifest.golden.rows[6], loaded.manifest.background

    own, found = (
        contributions(surface(one, row).answer, row, background, 10.0)
        for one in (loaded, calibrated_as(loaded, SIGMOID))
    )

    assert (own.method, found.method) == ("exact", "exact")
    assert found.values == pytest.approx([value * SIGMOID.maps[0].slope for value in own.values])


def test_version_whose_answers_depend_on_the_rows_beside_is_not_explained(load: Callable[[str], Loaded]) -> None:
    loaded = load("iris")
    alone = replace(loaded, manifest=loaded.manifest.model_copy(update={"batching": False}))

    with pytest.raises(NotExplained, match="depends on the rows beside it"):
        surface(alone, loaded.manifest.golden.rows[0])


def test_version_without_training_rows_is_not_explained(load: Callable[[str], Loaded]) -> None:
    loaded = load("iris")
    alone = replace(loaded, manifest=loaded.manifest.model_copy(update={"background": []}))

    with pytest.raises(NotExplained, match="keeps no training rows"):
        surface(alone, loaded.manifest.golden.rows[0])


IN_A_NEW_PROCESS = """
import sys, time
from pathlib import Path
from predictions.explanations.contributions import contributions
from predictions.explanations.surface import surface
from predictions.serving.artifacts import repository
from predictions.serving.engines.loader import Loader

root, name = Path(sys.argv[1]), sys.argv[2]
manifest = repository.manifest(root, name, 1)
loaded = Loader(root, 10**9).get(name, 1, manifest.sha256)
row = manifest.golden.rows[0]
began = time.process_time()
# Time enough on a busy machine too: what counts is the processor time.
found = contributions(surface(loaded, row).answer, row, manifest.background, 30)
print(found.method, time.process_time() - began, "sklearn" in sys.modules)
"""


@pytest.mark.parametrize("name", ["diabetes", "breast-cancer"])
def test_first_explanation_of_a_process_is_exact_and_takes_less_than_two_seconds(
    trained_models: Path, name: str
) -> None:
    ran = subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, trained_models, name], capture_output=True, text=True)

    method, seconds, imports_sklearn = ran.stdout.split()
    assert (method, imports_sklearn) == ("exact", "False")
    assert float(seconds) < 2


def test_log_odds_of_a_version_without_coefficients_are_asked_of_its_estimator(load: Callable[[str], Loaded]) -> None:
    loaded = load("breast-cancer")
    older = replace(loaded, manifest=loaded.manifest.model_copy(update={"log_odds": None}))
    row = loaded.manifest.golden.rows[0]

    [known], [asked] = (surface(one, row).answer([row]) for one in (loaded, older))

    assert loaded.manifest.log_odds is not None
    assert known == pytest.approx(asked, rel=1e-9)
