import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from predictions.serving.schema.advice import Advice, Advisor
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.signature import Signature

SIGNATURE = Signature.model_validate(
    [
        {"kind": "number", "name": "mean radius", "unit": "mm", "minimum": 0, "maximum": 40},
        {"kind": "integer", "name": "age", "label": "Age", "default": 3, "help": "In years."},
        {"kind": "choice", "name": "sex", "choices": [[1, "Code 1"], [2, "Code 2"]]},
        {"kind": "choice", "name": "größe", "choices": [["s", "Small"], ["l", "Large"]], "required": False},
        {"kind": "boolean", "name": "smoker"},
        {"kind": "text", "name": "note", "max_length": 5},
    ]
)
GOOD: dict[str, Any] = {
    "mean radius": 14.1,
    "age": 40,
    "sex": 2,
    "größe": "l",
    "smoker": False,
    "note": "fine",
}


def problems(raw: Any, signature: Signature = SIGNATURE) -> list[Problem]:
    with pytest.raises(InvalidInput) as caught:
        signature.clean(raw)
    return caught.value.problems


def test_clean_mapping_gives_signature_order() -> None:
    assert SIGNATURE.clean(dict(reversed(GOOD.items()))) == [14.1, 40, 2, "l", False, "fine"]


def test_clean_sequence_is_read_in_signature_order() -> None:
    assert SIGNATURE.clean([14.1, 40, 2, "l", False, "fine"]) == SIGNATURE.clean(GOOD)


@pytest.mark.parametrize("absent", [{}, {"größe": None}])
def test_clean_nullable_feature_absent_becomes_none(absent: dict[str, None]) -> None:
    rest = {name: value for name, value in GOOD.items() if name != "größe"}
    assert SIGNATURE.clean({**rest, **absent})[3] is None


def test_clean_whole_numbers_change_to_their_own_type() -> None:
    values = SIGNATURE.clean({**GOOD, "mean radius": 14, "age": 40.0, "sex": 2.0})
    assert [(type(value), value) for value in values[:3]] == [(float, 14.0), (int, 40), (int, 2)]


@pytest.mark.parametrize(
    ("feature", "value", "code", "message"),
    [
        ("mean radius", "14.1", "wrong_type", "Must be a number."),
        ("mean radius", True, "wrong_type", "Must be a number."),
        ("mean radius", [1], "wrong_type", "Must be a number."),
        ("mean radius", None, "missing", "Please fill this in."),
        ("mean radius", math.nan, "not_finite", "Must be a finite number, smaller than 1.8e308."),
        ("mean radius", json.loads("1e999"), "not_finite", "Must be a finite number, smaller than 1.8e308."),
        ("mean radius", 10**400, "not_finite", "Must be a finite number, smaller than 1.8e308."),
        ("mean radius", 40.5, "above_maximum", "Must be at most 40 (mm)."),
        ("mean radius", -1, "below_minimum", "Must be at least 0 (mm)."),
        ("age", 3.5, "wrong_type", "Must be a whole number."),
        ("age", False, "wrong_type", "Must be a whole number."),
        ("age", 2**53, "above_maximum", "Must be at most 9007199254740991."),
        ("sex", 3, "unknown_choice", "Must be one of: 1 (Code 1), 2 (Code 2)."),
        ("sex", True, "unknown_choice", "Must be one of: 1 (Code 1), 2 (Code 2)."),
        ("größe", "m", "unknown_choice", "Must be one of: s (Small), l (Large)."),
        ("größe", ["s"], "unknown_choice", "Must be one of: s (Small), l (Large)."),
        ("smoker", 1, "wrong_type", "Must be true or false."),
        ("note", "longer", "too_long", "Must be at most 5 characters long."),
        ("note", "", "missing", "Please fill this in."),
        ("note", "a\0b", "wrong_type", "Must be plain text; it contains a character that cannot be stored."),
        ("note", "\ud800", "wrong_type", "Must be plain text; it contains a character that cannot be stored."),
    ],
)
def test_clean_one_bad_value_names_place_and_remedy(feature: str, value: Any, code: str, message: str) -> None:
    assert problems({**GOOD, feature: value}) == [Problem(feature, code, message)]


def test_clean_many_bad_values_are_told_at_once() -> None:
    found = problems({"mean radius": "x", "age": 1.5, "sex": 9, "sXe": 1})
    assert [(p.feature, p.code) for p in found] == [
        ("mean radius", "wrong_type"),
        ("age", "wrong_type"),
        ("sex", "unknown_choice"),
        ("smoker", "missing"),
        ("note", "missing"),
        ("sXe", "unknown_feature"),
    ]


def test_clean_sequence_of_wrong_length() -> None:
    message = "Needs 6 values, one for each feature in signature order; 2 were given."
    assert problems([1, 2]) == [Problem(None, "wrong_length", message)]


@pytest.mark.parametrize("raw", ["abc", b"abc", 5, None, {1, 2}])
def test_clean_neither_mapping_nor_sequence(raw: Any) -> None:
    assert [(p.feature, p.code) for p in problems(raw)] == [(None, "wrong_type")]


def test_clean_internal_field_name_is_unknown() -> None:
    assert [(p.feature, p.code) for p in problems({**GOOD, "feature_0": 1.0})] == [("feature_0", "unknown_feature")]


def test_clean_unencodable_unknown_name_can_still_be_shown() -> None:
    assert [p.feature for p in problems({**GOOD, "\ud800": 1})] == ["\\ud800"]


def test_clean_flood_of_unknown_names_is_bounded() -> None:
    found = problems({**GOOD, **{f"x{n}": n for n in range(1000)}})
    assert (len(found), found[-1].message) == (21, "And 980 more names that are not known.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(SIGNATURE.names) | st.text(), JSON))
def test_clean_any_json_is_refused_or_settles(raw: dict[str, Any]) -> None:
    try:
        values = SIGNATURE.clean(raw)
    except InvalidInput as error:
        shown = json.dumps([[p.feature, p.code, p.message] for p in error.problems], ensure_ascii=False).encode()
        assert shown != b"[]"
    else:
        assert SIGNATURE.clean(values) == values


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), min_size=1, unique=True),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_clean_any_feature_name_works(names: list[str], value: float) -> None:
    signature = Signature.model_validate([{"kind": "number", "name": name} for name in names])
    assert signature.clean(dict.fromkeys(names, value)) == [value] * len(names)


def test_signature_survives_json() -> None:
    dumped = json.loads(json.dumps(SIGNATURE.model_dump(mode="json")))
    assert Signature.model_validate(dumped) == SIGNATURE


@pytest.mark.parametrize(
    "features",
    [
        [],
        [{"kind": "number", "name": "a"}, {"kind": "text", "name": "a"}],
        [{"kind": "number", "name": "a", "minimum": 2, "maximum": 1}],
        [{"kind": "number", "name": "a", "minimum": 2, "default": 1}],
        [{"kind": "number", "name": "a", "minimum": math.inf}],
        [{"kind": "number", "name": ""}],
        [{"kind": "choice", "name": "a", "choices": []}],
        [{"kind": "choice", "name": "a", "choices": [["x", "X"], ["x", "Y"]]}],
        [{"kind": "choice", "name": "a", "choices": [["x", "X"]], "default": "y"}],
        [{"kind": "colour", "name": "a"}],
        [{"kind": "number", "name": "a", "minimun": 2}],
    ],
)
def test_signature_that_contradicts_itself_is_refused(features: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        Signature.model_validate(features)


def test_json_schema_states_the_rules() -> None:
    schema = SIGNATURE.json_schema()
    assert list(schema["properties"]) == list(SIGNATURE.names)
    assert schema["required"] == ["mean radius", "age", "sex", "smoker", "note"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["mean radius"] == {
        "title": "mean radius",
        "x-unit": "mm",
        "type": "number",
        "minimum": 0,
        "maximum": 40,
    }
    assert schema["properties"]["age"] == {
        "title": "Age",
        "description": "In years.",
        "type": "integer",
        "examples": [3],
    }
    assert schema["properties"]["größe"]["enum"] == ["s", "l", None]


PROFILE = {
    "features": {
        "mean radius": {"minimum": 7, "maximum": 28.11},
        "age": {"minimum": 19, "maximum": 79},
        "sex": {"categories": [[1, 9]]},
        "note": {"missing": 0},
    }
}


def test_advise_inside_training_data_is_silent() -> None:
    assert Advisor(SIGNATURE, PROFILE).advise([7.0, 79, 1, "l", True, "new"]) == []


def test_advise_outside_training_data_names_each() -> None:
    found = Advisor(SIGNATURE, PROFILE).advise([30.0, 18, 2, None, True, "new"])
    assert [(advice.feature, advice.code) for advice in found] == [
        ("mean radius", "above_training_range"),
        ("age", "below_training_range"),
        ("sex", "unseen_category"),
    ]
    assert found[0] == Advice(
        "mean radius",
        "above_training_range",
        "Higher than anything in the training data (up to 28.11 mm): less certain.",
    )


def test_advise_without_profile_is_silent() -> None:
    assert Advisor(SIGNATURE, {}).advise([30.0, 18, 2, None, True, "new"]) == []


@pytest.mark.parametrize("module", ["schema.signature", "artifacts.manifest", "artifacts.repository", "schema.errors"])
def test_module_of_the_web_imports_no_numpy(module: str) -> None:
    code = f"import sys, predictions.serving.{module}; print('numpy' in sys.modules or 'django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
