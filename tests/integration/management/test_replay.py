"""`replay` and `export_labels`: a version answers the inputs of another one; true answers for the next training."""

import csv
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from predictions.models import Feedback, ModelVersion, Prediction, RegisteredModel, Source, State
from predictions.serving.schema.errors import ModelUnavailable
from predictions.worker import preload
from tests.integration.conftest import IRIS, make
from tests.support.commands import run

VIRGINICA = [6.7, 3.1, 5.6, 2.4]


def answered(version: ModelVersion, values: list[float], label: str, **fields: object) -> Prediction:
    """A prediction that was answered with `label`, whatever the version would predict."""
    shares = {name: float(name == label) for name in version.manifest["labels"]}
    output = {"kind": "classification", "label": label, "probabilities": shares}
    return make(version, State.SUCCEEDED, values=values, output=output, **fields)


def said(prediction: Prediction, caller: str = "visitor:a", **word: object) -> None:
    Feedback.objects.say(prediction, caller, **word)


def unavailable(version_id: int, sha256: str) -> None:
    raise ModelUnavailable("Its file is gone.")


def replayed(*words: object) -> str:
    """The report of `replay` on version 2 of iris, with hyphens in place of dashes."""
    return run("replay", "iris", 2, *words).replace("\N{EN DASH}", "-")


# --- replay -----------------------------------------------------------------------------------------------------------
def test_replay_counts_the_same_answers_and_names_the_others(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, _ = second
    for _ in range(9):
        answered(first, IRIS, "setosa")
    wrong = answered(first, VIRGINICA, "setosa")

    report = replayed()
    assert "10 predictions of other versions, answered again by version 2." in report
    assert "The same class: 9 of 10 (60-98 %)." in report
    assert f"  {wrong.pk}: setosa then, virginica now" in report
    assert "Nobody has said what was true yet." in report
    assert Prediction.objects.count() == 10


def test_replay_compares_with_what_people_said(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, _ = second
    said(answered(first, IRIS, "setosa"), was_right=True)
    said(answered(first, VIRGINICA, "setosa"), actual="virginica")
    said(answered(first, VIRGINICA, "virginica"), was_right=False)

    assert "Where people judged the answer, right: 1 of 3 (6-79 %) then, 2 of 3 (21-94 %) now." in replayed()


def test_replay_says_where_nobody_said_what_was_true(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, _ = second
    said(answered(first, IRIS, "setosa"), was_right=True)
    said(answered(first, VIRGINICA, "setosa"), was_right=False)

    report = replayed()
    assert "right: 1 of 2 (9-91 %) then, 1 to 2 of 2 (9-100 %) now." in report
    assert "1 of these were called wrong, and nobody said what was true." in report


def test_replay_takes_the_newest_and_neither_canaries_nor_its_own(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, other = second
    for _ in range(3):
        answered(first, IRIS, "setosa")
    answered(other, IRIS, "setosa")
    answered(first, IRIS, "setosa", source=Source.CANARY)
    newest = answered(first, VIRGINICA, "setosa", id=uuid.UUID(int=2**128 - 1))

    assert replayed().startswith("4 predictions")
    report = replayed("--last", 1)
    assert "The same class: 0 of 1" in report
    assert str(newest.pk) in report


def test_replay_says_where_answers_differ(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, _ = second
    for _ in range(12):
        answered(first, IRIS, "setosa")
        answered(first, VIRGINICA, "setosa")

    assert "They differ more often where Petal length is 3.5 and above: 12 of 12 (76-100 %)." in replayed()


def test_replay_leaves_out_rows_that_do_not_fit(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, _ = second
    answered(first, IRIS, "setosa")
    answered(first, [*IRIS[:3], "broken"], "setosa")  # type: ignore[list-item]

    report = replayed()
    assert "1 do not fit the values that it asks for, and are left out." in report
    assert "The same class: 1 of 1" in report


def test_replay_refuses_in_a_sentence(
    second: tuple[ModelVersion, ModelVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="No other version of iris has answered anything yet"):
        replayed()
    with pytest.raises(CommandError, match="--last must be 1 or more"):
        replayed("--last", 0)
    answered(second[0], IRIS, "setosa")
    monkeypatch.setattr(preload, "load", unavailable)
    with pytest.raises(CommandError, match=r"iris v2 does not serve here: Its file is gone\."):
        replayed()


# --- export_labels ----------------------------------------------------------------------------------------------------
def exported() -> tuple[list[dict[str, str]], str]:
    out, told = StringIO(), StringIO()
    call_command("export_labels", "iris", stdout=out, stderr=told)
    rows = list(csv.DictReader(StringIO(out.getvalue())))
    assert told.getvalue().startswith(f"{len(rows)} rows with a true answer.")
    return rows, told.getvalue()


def test_labels_are_what_was_said_to_be_true(registered: dict[str, RegisteredModel], iris: ModelVersion) -> None:
    right = answered(iris, IRIS, "setosa")
    wrong = answered(iris, VIRGINICA, "setosa")
    said(right, was_right=True)
    said(wrong, actual="virginica")
    said(answered(iris, IRIS, "setosa"), was_right=False)
    said(answered(iris, IRIS, "setosa"), comment="Nice.")

    lines, report = exported()
    rows = {row["prediction"]: row for row in lines}
    target = iris.manifest["target"]["name"]
    assert {key: row[target] for key, row in rows.items()} == {str(right.pk): "setosa", str(wrong.pk): "virginica"}
    assert [float(rows[str(wrong.pk)][name]) for name in iris.signature.names] == VIRGINICA
    assert rows[str(wrong.pk)]["version"] == "1"
    assert "1 more were called wrong, and nobody said what was true. They are left out" in report


def test_label_of_a_wrong_answer_is_the_other_one_of_two_classes(
    registered: dict[str, RegisteredModel], iris: ModelVersion
) -> None:
    labels = ["setosa", "virginica"]
    ModelVersion.objects.filter(pk=iris.pk).update(manifest={**iris.manifest, "labels": labels})
    iris.refresh_from_db()
    said(answered(iris, VIRGINICA, "setosa"), was_right=False)
    said(answered(iris, IRIS, "setosa"), was_right=True)

    rows, report = exported()
    assert sorted(row[iris.manifest["target"]["name"]] for row in rows) == labels
    assert report == "2 rows with a true answer.\n"


def test_latest_word_on_a_prediction_counts(registered: dict[str, RegisteredModel], iris: ModelVersion) -> None:
    row = answered(iris, VIRGINICA, "setosa")
    said(row, "visitor:a", actual="versicolor")
    said(row, "user:1", actual="virginica")

    assert [line[iris.manifest["target"]["name"]] for line in exported()[0]] == ["virginica"]


def test_labels_go_to_a_file(registered: dict[str, RegisteredModel], iris: ModelVersion, tmp_path: Path) -> None:
    said(answered(iris, IRIS, "setosa"), was_right=True)
    run("export_labels", "iris", "-o", str(tmp_path / "labels.csv"))
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 2

    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        run("export_labels", "iris", "-o", str(tmp_path / "no/labels.csv"))
    with pytest.raises(CommandError, match="There is no model nowhere"):
        run("export_labels", "nowhere")
