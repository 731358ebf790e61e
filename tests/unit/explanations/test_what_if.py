"""What-if results: the answers are those of the predictor, and the limits of the model's description hold."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from predictions.explanations.what_if import what_if
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.signature import Signature

DEMO_MODELS = ("iris", "diabetes", "wine", "breast-cancer")


def described(loaded: Loaded, **said: dict[str, Any]) -> Loaded:
    """The version, with other members in the descriptions of some features."""
    features = [
        {**feature, **said.get(feature["name"], {})}
        for feature in loaded.manifest.signature.model_dump(mode="json", exclude_none=True)
    ]
    signature = Signature.model_validate(features)
    return replace(loaded, manifest=loaded.manifest.model_copy(update={"signature": signature}))


def each(loaded: Loaded, **said: Any) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(loaded.manifest.signature.names, said)


def with_value(loaded: Loaded, row: Any, name: str, value: Any) -> Any:
    place = loaded.manifest.signature.names.index(name)
    return predict(loaded, [[*row[:place], value, *row[place + 1 :]]])[0].output


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_smallest_change_gives_the_answer_that_it_names(load: Callable[[str], Loaded], name: str) -> None:
    loaded = load(name)
    for row in loaded.manifest.golden.rows[:4]:
        found = what_if(loaded, row, None)
        if (change := found["change"]) is None:
            continue
        assert change["output"] == with_value(loaded, row, change["feature"], change["to"])
        assert change["output"]["grade"] != "outside"
        if name == "diabetes":
            low, high = found["before"]["interval"]
            assert not low <= change["output"]["value"] <= high
        else:
            assert change["output"]["label"] != found["before"]["label"]


def test_smallest_change_leaves_what_cannot_change(load: Callable[[str], Loaded]) -> None:
    loaded = load("iris")
    row = loaded.manifest.golden.rows[0]
    named = what_if(loaded, row, None)["change"]["feature"]

    others = what_if(described(loaded, **{named: {"immutable": True}}), row, None)["change"]
    none = what_if(described(loaded, **each(loaded, immutable=True)), row, None)

    assert others is None or others["feature"] != named
    assert none["change"] is None


@pytest.mark.parametrize("direction", ["up", "down"])
def test_smallest_change_goes_in_the_direction_that_is_allowed(load: Callable[[str], Loaded], direction: str) -> None:
    loaded = load("iris")
    one_way = described(loaded, **each(loaded, direction=direction))
    changes = [what_if(one_way, row, None)["change"] for row in loaded.manifest.golden.rows]

    assert any(changes)
    assert all((change["to"] > change["from"]) == (direction == "up") for change in changes if change)


def test_values_of_a_change_are_whole_steps(load: Callable[[str], Loaded]) -> None:
    loaded = load("iris")
    stepped = described(loaded, **each(loaded, step=0.5))
    changes = [what_if(stepped, row, None)["change"] for row in loaded.manifest.golden.rows]

    assert all(float(change["to"] * 2).is_integer() for change in changes if change)


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_curves_have_the_predictor_s_answers_and_mark_the_training_range(
    load: Callable[[str], Loaded], name: str
) -> None:
    loaded = load(name)
    row = loaded.manifest.golden.rows[0]
    found = what_if(loaded, row, None)

    assert 1 <= len(found["curves"]) <= 6
    moves = [curve["moves"] for curve in found["curves"]]
    assert moves == sorted(moves, reverse=True)
    for curve in found["curves"]:
        seen = loaded.manifest.profile["features"][curve["feature"]]
        assert (curve["low"], curve["high"]) == (seen["minimum"], seen["maximum"])
        point = curve["points"][len(curve["points"]) // 2]
        output = with_value(loaded, row, curve["feature"], point["x"])
        height = output["value"] if name == "diabetes" else output["probabilities"][found["label"]]
        assert point["y"] == pytest.approx(height, rel=1e-5)


def test_changed_row_is_answered_beside_the_one_that_was_asked(load: Callable[[str], Loaded]) -> None:
    loaded = load("diabetes")
    row, other = loaded.manifest.golden.rows[:2]

    found = what_if(loaded, row, other)

    assert [found["before"], found["changed"]] == [outcome.output for outcome in predict(loaded, [row, other])]
    assert what_if(loaded, row, None)["changed"] is None
