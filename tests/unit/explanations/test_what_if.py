"""What-if results: the answers are those of the predictor, and the limits of the model's description hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from predictions.explanations.what_if import MOST_ROWS, what_if
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.signature import Signature, Value

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


def test_values_of_a_change_are_written_shortly(load: Callable[[str], Loaded]) -> None:
    loaded = load("iris")
    tenths = described(loaded, **each(loaded, step=0.1))
    changes = [what_if(tenths, row, None)["change"] for row in loaded.manifest.golden.rows]

    assert any(changes)
    assert all(change["to"] == round(change["to"], 1) for change in changes if change)


@dataclass(frozen=True)
class AboveTen:
    """An engine that answers the second class if one feature is above 10."""

    place: int

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        second = np.array([float(row[self.place]) > 10 for row in rows], dtype=np.float64)  # type: ignore[arg-type]
        return RawPredictions(second, np.column_stack([1 - second, second]))


def wide(loaded: Loaded, count: int, place: int) -> Loaded:
    """A version of two classes with this many numbers from 0 to 50. One of them alone decides."""
    seen = {"minimum": 0.0, "maximum": 50.0, "deciles": [5.0 * step + 0.5 for step in range(11)]}
    names = [f"f{number}" for number in range(count)]
    manifest = loaded.manifest.model_copy(
        update={
            "signature": Signature.model_validate([{"kind": "number", "name": name} for name in names]),
            "profile": {"features": dict.fromkeys(names, seen)},
            "background": [[float(number)] * count for number in range(50)],
            "sureness": None,
        }
    )
    return replace(loaded, manifest=manifest, engine=AboveTen(place), assessor=None)


@pytest.mark.parametrize(("count", "rows"), [(10, MOST_ROWS), (64, MOST_ROWS), (40, 90), (40, 50)])
def test_change_of_the_last_of_many_features_is_found(
    load: Callable[[str], Loaded], monkeypatch: pytest.MonkeyPatch, count: int, rows: int
) -> None:
    monkeypatch.setattr("predictions.explanations.what_if.MOST_ROWS", rows)
    loaded = wide(load("breast-cancer"), count, place=count - 1)

    found = what_if(loaded, [5.0] * (count - 1) + [20.0], None)

    assert found["change"]["feature"] == f"f{count - 1}"
    assert found["tried"]["features"] == count
    assert count <= found["tried"]["values"] <= rows


def test_features_for_which_there_is_no_room_are_not_counted_as_tried(
    load: Callable[[str], Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.explanations.what_if.MOST_ROWS", 30)

    found = what_if(wide(load("breast-cancer"), 40, place=39), [5.0] * 40, None)

    assert (found["change"], found["tried"]) == (None, {"features": 30, "values": 30})


def test_all_values_of_a_few_features_are_tried(load: Callable[[str], Loaded]) -> None:
    found = what_if(wide(load("breast-cancer"), 10, place=9), [5.0] * 10, None)

    # 50 training values and 11 deciles, of which one is the own value.
    assert found["tried"] == {"features": 10, "values": 10 * 60}
    assert found["change"]["to"] == 10.5


def test_change_that_is_not_allowed_is_not_counted_as_tried(load: Callable[[str], Loaded]) -> None:
    fixed = described(wide(load("breast-cancer"), 10, place=9), f9={"immutable": True})

    found = what_if(fixed, [5.0] * 10, None)

    assert (found["change"], found["tried"]) == (None, {"features": 9, "values": 9 * 60})


def test_version_without_training_data_has_no_numbers_to_try(load: Callable[[str], Loaded]) -> None:
    loaded = wide(load("breast-cancer"), 10, place=9)
    unknown = replace(loaded, manifest=loaded.manifest.model_copy(update={"profile": {}, "background": []}))

    found = what_if(unknown, [5.0] * 10, None)

    assert (found["change"], found["tried"]) == (None, {"features": 0, "values": 0})


def test_change_to_a_row_outside_the_training_data_is_not_counted_as_tried(load: Callable[[str], Loaded]) -> None:
    loaded = load("iris")
    row = loaded.manifest.golden.rows[0]
    assert loaded.assessor
    strict = replace(loaded.assessor.experience, beyond=-1)
    outside = replace(loaded, assessor=replace(loaded.assessor, experience=strict))

    assert what_if(outside, row, None)["tried"] == {"features": 0, "values": 0}


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
