"""Files of JSON lines: rows as objects and as lists, and content that only begins like JSON lines."""

import codecs
import json
from typing import Any

import pytest

from predictions.models import RegisteredModel
from predictions.serving.schema.errors import InvalidInput
from tests.support.files import GOOD, NAMES, results, score

pytestmark = pytest.mark.django_db

VALUES = [float(value) for value in GOOD]
FLOWER = dict(zip(NAMES, VALUES, strict=True))
BACKWARDS = dict(reversed(FLOWER.items()))


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_lists_are_in_signature_order_whatever_the_order_of_objects(iris: RegisteredModel) -> None:
    found = results(score(iris, lines({"id": 1, **BACKWARDS}, VALUES)))
    assert [[row[name] for name in ("id", *NAMES)] for row in found] == [["1", *GOOD], ["", *GOOD]]
    assert [row["prediction"] for row in found] == ["setosa"] * 2


def test_list_behind_the_first_lines_has_the_names_of_the_file(
    iris: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.batches.opening.SAMPLE_BYTES", 200)
    named_otherwise = {name.upper(): value for name, value in FLOWER.items()}
    found = results(score(iris, lines(named_otherwise, named_otherwise, named_otherwise, VALUES)))
    assert [[row[name.upper()] for name in NAMES] for row in found] == [GOOD] * 4
    assert [row["prediction"] for row in found] == ["setosa"] * 4


@pytest.mark.parametrize(("given", "count"), [([40.5, 2, "g", True], 4), ([40.5, 2, "g", True, "x", 0.5, 1], 7)])
def test_list_with_another_number_of_values_than_features_is_a_bad_row(
    kinds: RegisteredModel, given: list[Any], count: int
) -> None:
    """The last two features are optional."""
    short, good = results(score(kinds, lines(given, [40.5, 2, "g", True, None, None])))
    assert short["error"] == f": not_json: This line cannot be read: it has {count} values for 6 features."
    assert (bool(short["prediction"]), bool(good["prediction"])) == (False, True)


def test_byte_order_mark_before_json_lines_is_skipped(iris: RegisteredModel) -> None:
    found = results(score(iris, codecs.BOM_UTF8 + lines(FLOWER, FLOWER)))
    assert [row["prediction"] for row in found] == ["setosa"] * 2


@pytest.mark.parametrize("rows", [[FLOWER, FLOWER], [VALUES, VALUES]])
@pytest.mark.parametrize("indent", [None, 1])
def test_array_of_rows_is_refused_with_the_remedy(iris: RegisteredModel, rows: list[Any], indent: int | None) -> None:
    with pytest.raises(InvalidInput) as raised:
        score(iris, json.dumps(rows, indent=indent).encode())
    assert [(problem.code, problem.message) for problem in raised.value.problems] == [
        (
            "not_json",
            "The file is one JSON array. Write one JSON object on each line, without brackets and commas around it.",
        )
    ]
