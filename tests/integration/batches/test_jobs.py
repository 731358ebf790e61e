"""Files scored from end to end, in the test's own process."""

import io

import pytest

from predictions.batches import jobs
from predictions.models import BatchChunk, BatchJob, JobState, RegisteredModel
from predictions.serving.schema.errors import InvalidInput, KeyReused, NotCorrectable, TooManyFiles
from tests.support.files import (
    ANN,
    GOOD,
    NAMES,
    bad_rows,
    correct,
    execute,
    places,
    results,
    score,
    submit,
    text,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


def test_each_line_is_answered_once_and_in_order(iris: RegisteredModel) -> None:
    rows = [[f"{5 + n / 10000:.4f}", "3.5", "1.4", "0.2", f"id-{n}"] for n in range(25_000)]
    job = score(iris, text(rows, [*NAMES, "id"]))
    assert job.state == JobState.FINISHED
    assert BatchChunk.objects.counts_of(job.pk) == {"rows": 25_000, "good": 25_000, "bad": 0}
    found = results(job)
    assert [row["id"] for row in found] == [f"id-{n}" for n in range(25_000)]
    assert {row["prediction"] for row in found} == {"setosa"}
    assert bad_rows(job) == []


def test_results_have_the_files_columns_and_then_the_new_ones(iris: RegisteredModel) -> None:
    [row] = results(score(iris, text([[*GOOD, "x"]], [*NAMES, "note"])))
    assert list(row) == [
        *NAMES, "note", "prediction", "probability_setosa", "probability_versicolor", "probability_virginica",
        "prediction_set", "grade", "advice", "error",
    ]  # fmt: skip
    assert row["note"] == "x"
    assert row["error"] == ""


def test_bad_rows_fail_alone_with_line_column_and_code(iris: RegisteredModel) -> None:
    rows = [GOOD, ["abc", "", "NaN", "0.2"], GOOD]
    job = score(iris, text(rows))
    assert [row["prediction"] for row in results(job)] == ["setosa", "", "setosa"]
    assert places(bad_rows(job)) == [
        (3, f"{NAMES[0]}: wrong_type"),
        (3, f"{NAMES[1]}: missing"),
        (3, f"{NAMES[2]}: not_finite"),
    ]


def test_corrected_rows_complete_the_results(iris: RegisteredModel) -> None:
    job = score(iris, text([GOOD, ["abc", *GOOD[1:]], GOOD, ["", *GOOD[1:]]]))
    bad = bad_rows(job)
    bad[0][NAMES[0]] = "5.1"
    job = correct(job, text([list(row.values()) for row in bad], list(bad[0])))
    assert job.state == JobState.FINISHED
    assert [row["prediction"] for row in results(job)] == ["setosa", "setosa", "setosa", ""]
    assert places(bad_rows(job)) == [(5, f"{NAMES[0]}: missing")]
    bad = bad_rows(job)
    bad[0][NAMES[0]] = "5.1"
    job = correct(job, text([list(row.values()) for row in bad], list(bad[0])))
    assert [row["prediction"] for row in results(job)] == ["setosa"] * 4
    assert bad_rows(job) == []
    with pytest.raises(NotCorrectable):
        jobs.correct(job, ANN, io.BytesIO(b"line\n"))


def test_missing_columns_are_named_at_once(iris: RegisteredModel) -> None:
    with pytest.raises(InvalidInput) as raised:
        submit(iris, text([GOOD[:2]], NAMES[:2]))
    assert [(problem.feature, problem.code) for problem in raised.value.problems] == [
        (NAMES[2], "missing_column"),
        (NAMES[3], "missing_column"),
    ]
    assert not BatchJob.objects.exists()


def test_header_is_matched_by_name_in_any_order_case_and_spacing(iris: RegisteredModel) -> None:
    header = ["Petal Width (cm)", " SEPAL  length (CM)", NAMES[1], NAMES[2]]
    [row] = results(score(iris, text([["0.2", "5.1", "3.5", "1.4"]], header)))
    assert row["prediction"] == "setosa"


def test_same_key_gives_the_same_job(iris: RegisteredModel) -> None:
    first = submit(iris, text([GOOD]), key="batch:k")
    assert submit(iris, text([GOOD]), key="batch:k").pk == first.pk
    with pytest.raises(KeyReused):
        submit(iris, text([GOOD, GOOD]), key="batch:k")
    assert BatchJob.objects.count() == 1


def test_jobs_of_a_caller_are_limited(iris: RegisteredModel, settings: object) -> None:
    settings.BATCH_JOBS_PER_CALLER = 1  # type: ignore[attr-defined]
    first = submit(iris, text([GOOD]))
    with pytest.raises(TooManyFiles):
        submit(iris, text([GOOD]))
    execute(first)
    submit(iris, text([GOOD]))


def test_canceled_job_keeps_what_is_done(iris: RegisteredModel) -> None:
    job = submit(iris, text([GOOD]))
    jobs.cancel(job, ANN)
    assert job.state == JobState.CANCELED
    assert execute(job).state == JobState.CANCELED
    assert results(job) == []


def test_semicolons_with_decimal_commas_are_read_and_written(iris: RegisteredModel) -> None:
    job = score(iris, text([["5,1", "3,5", "1,4", "0,2"], ["5.1", "3,5", "1,4", "0,2"]], delimiter=";"))
    first, second = results(job)
    assert first["prediction"] == "setosa"
    assert float(first["probability_setosa"].replace(",", ".")) > 0.9
    assert places(bad_rows(job)) == [(3, f"{NAMES[0]}: wrong_type")]
    assert second["prediction"] == ""


def test_json_lines_keep_their_types(iris: RegisteredModel) -> None:
    lines = b'{"a": 1, "%s": 5.1, "%s": 3.5, "%s": 1.4, "%s": 0.2}\n' % tuple(name.encode() for name in NAMES)
    job = score(iris, lines + lines.replace(b"5.1", b'"5.1"') + b"{oops\n", name="rows.jsonl")
    assert [row["prediction"] for row in results(job)] == ["setosa", "", ""]
    counts = BatchChunk.objects.counts_of(job.pk)
    assert counts == {"rows": 3, "good": 1, "bad": 2}


def test_formulas_are_guarded_and_negative_numbers_are_not(iris: RegisteredModel) -> None:
    header = [*NAMES, "note", "number"]
    job = score(iris, text([[*GOOD, "=1+1", "-5.5"], ["=x", *GOOD[1:], "@a", "+3"]], header))
    assert [(row["note"], row["number"]) for row in results(job)] == [("'=1+1", "-5.5"), ("'@a", "+3")]
    bad = bad_rows(job)
    assert bad[0][NAMES[0]] == "'=x"
    bad[0][NAMES[0]] = "5.1"
    job = correct(job, text([list(row.values()) for row in bad], list(bad[0])))
    assert [row["note"] for row in results(job)] == ["'=1+1", "'@a"]
