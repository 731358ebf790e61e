"""The client package with DataFrames and files, against a server whose answers are written here."""

import io
import json
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from foretell_client import Client, JobEnded, JobNotFinished, Refused, flows

DETAIL: dict[str, Any] = {
    "name": "taste",
    "title": "Taste",
    "task": "classification",
    "version": 1,
    "summary": "",
    "signature": {"properties": {"sugar": {}, "colour": {}, "ripe": {}}, "required": ["sugar"]},
    "example": None,
    "metrics": {},
    "versions": [],
}
FRAME = pd.DataFrame(
    {"colour": ["red", None, ""], "more": [1, 2, 3], "sugar": [np.nan, 2.5, 3.0]}, index=pd.Index(["a", "c", "b"])
)
RESULTS = (
    "sugar,colour,ripe,prediction,probability_'=x,prediction_set,grade,advice,error\n"
    ',red,,,,,,,"sugar: missing: It is needed."\n'
    '2.5,,,007,0.75,"[""007""]",clear,,\n'
    "3.0,,,'=x,0.25,,,sugar: above_training_range,\n"
)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(flows, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept)))


def job(status: str, done: int = 0, error: Any = None) -> httpx.Response:
    body = {"id": "j1", "model": "taste", "version": 1, "status": status, "rows": 3, "done": done, "good": done}
    more = {"bad": 0, "seconds_left": None, "error": error, "urls": {"page": "http://foretell/files/j1/"}}
    return httpx.Response(200, json={**body, **more})


class Server:
    """Sends the given answers in order, and records the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.sent: list[tuple[str, str, bytes]] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((request.method, request.url.path, request.read()))
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        return Client("http://foretell/", transport=httpx.MockTransport(self), **options)


def detail(**more: Any) -> httpx.Response:
    return httpx.Response(200, json={**DETAIL, **more})


def lines_of(form: bytes) -> list[Any]:
    """The rows of a form's file."""
    return [json.loads(line) for line in form.splitlines() if line.startswith(b"[")]


def test_frame_is_sent_in_signature_order_with_null_for_what_is_missing() -> None:
    server = Server(detail(), job("queued"), job("finished", 3), httpx.Response(200, content=RESULTS.encode()))
    server.client().predict("taste", FRAME, version=1)
    assert [(method, path) for method, path, _ in server.sent] == [
        ("GET", "/api/v1/models/taste/"),
        ("POST", "/api/v1/batches/"),
        ("GET", "/api/v1/batches/j1/"),
        ("GET", "/api/v1/batches/j1/results/"),
    ]
    form = server.sent[1][2]
    assert lines_of(form) == [[None, "red", None], [2.5, None, None], [3.0, "", None]]
    assert b'name="model"\r\n\r\ntaste\r\n' in form
    assert b'name="version"\r\n\r\n1\r\n' in form


def test_answers_have_the_index_of_the_frame_and_their_types() -> None:
    server = Server(detail(), job("finished", 3), httpx.Response(200, content=RESULTS.encode()))
    found = server.client().predict("taste", FRAME)
    assert list(found.index) == ["a", "c", "b"]
    assert list(found.columns) == ["prediction", "probability_'=x", "prediction_set", "grade", "advice", "error"]
    assert found["prediction"].isna().tolist() == [True, False, False]
    assert found["prediction"].tolist()[1:] == ["007", "=x"]
    assert found["probability_'=x"].tolist()[1:] == [0.75, 0.25]
    assert found.loc["a", "error"] == "sugar: missing: It is needed."
    assert found["error"].isna().tolist() == [False, True, True]


def test_predictions_of_a_regression_are_numbers() -> None:
    answer = "sugar,colour,ripe,prediction,lower,upper\n,,,,,\n2.5,,,-1.5,-2,1e3\n3,,,0,0,0\n"
    server = Server(detail(task="regression"), job("finished", 3), httpx.Response(200, content=answer.encode()))
    found = server.client().predict("taste", FRAME)
    assert found["prediction"].tolist()[1:] == [-1.5, 0.0]
    assert found["upper"].tolist()[1:] == [1000.0, 0.0]


@pytest.mark.parametrize(
    ("dtype", "values", "sent"),
    [
        ("boolean", [True, None], [True, None]),
        ("Int64", [3, None], [3, None]),
        ("category", ["x", "y"], ["x", "y"]),
        ("datetime64[ns]", ["2024-05-31", None], ["2024-05-31", None]),
        ("object", [date(2024, 5, 31), datetime(2024, 5, 31, 10, 30)], ["2024-05-31", "2024-05-31T10:30:00"]),
        ("float32", [0.5, np.nan], [0.5, None]),
        ("object", [np.int64(3), np.bool_(False)], [3, False]),
    ],
)
def test_values_keep_their_types(dtype: Any, values: Any, sent: Any) -> None:
    answer = httpx.Response(200, content=b"sugar,colour,ripe,prediction\n,,,x\n,,,x\n")
    server = Server(detail(), job("finished", 2), answer)
    server.client().predict("taste", pd.DataFrame({"sugar": pd.Series(values, dtype=dtype)}))
    assert [row[0] for row in lines_of(server.sent[1][2])] == sent


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.drop(columns="sugar"), "no column 'sugar'"),
        (FRAME.assign(sugar=[1.0, np.inf, 2.0]), "'sugar' holds an infinite number"),
        (pd.concat([FRAME, FRAME[["sugar"]]], axis=1), "the column 'sugar' more than once"),
        (FRAME.iloc[:0], "no row"),
    ],
)
def test_frame_that_cannot_be_asked_is_refused_before_it_is_sent(frame: pd.DataFrame, message: str) -> None:
    server = Server(detail())
    with pytest.raises(ValueError, match=message):
        server.client().predict("taste", frame)
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (job("canceled", 1), "canceled"),
        (job("failed", 0, {"code": "file_too_large", "message": "Too many rows."}), "file_too_large"),
    ],
)
def test_job_that_did_not_finish_is_an_error(last: httpx.Response, code: str) -> None:
    server = Server(detail(), job("queued"), last)
    with pytest.raises(JobEnded) as ended:
        server.client().predict("taste", FRAME)
    assert (ended.value.code, ended.value.job.id) == (code, "j1")


def test_time_limit_names_the_job_that_goes_on() -> None:
    server = Server(detail(), *[job("running", 1) for _ in range(20)])
    with pytest.raises(JobNotFinished) as unfinished:
        server.client().predict("taste", FRAME, within=3)
    assert (unfinished.value.job.id, unfinished.value.job.done) == ("j1", 1)


def test_lost_connection_sends_the_whole_file_again() -> None:
    server = Server(detail(), httpx.ReadError("cut off"), job("finished", 3), httpx.Response(200, text=RESULTS))
    server.client().predict("taste", FRAME)
    (_, first, form), (_, second, again) = server.sent[1:3]
    assert (first, lines_of(form)) == (second, lines_of(again))
    assert len(lines_of(form)) == 3


class Broken(httpx.SyncByteStream):
    """A response that ends early."""

    def __iter__(self) -> Any:
        yield b"sugar,col"
        raise httpx.ReadError("cut off")


def test_broken_download_begins_again() -> None:
    server = Server(httpx.Response(200, stream=Broken()), httpx.Response(200, content=b"all of it"))
    into = io.BytesIO()
    server.client().save_results("j1", into)
    assert into.getvalue() == b"all of it"


def test_refused_download_leaves_the_file_as_it_was() -> None:
    server = Server(httpx.Response(409, json={"code": "no_results", "detail": "Nothing is scored yet."}))
    into = io.BytesIO(b"earlier")
    with pytest.raises(Refused):
        server.client().save_results("j1", into)
    assert into.getvalue() == b"earlier"


def test_files_are_sent_watched_corrected_and_canceled() -> None:
    answers = [job("queued"), job("running", 1), job("finished", 3), job("running"), job("canceled")]
    server = Server(*answers)
    seen: list[tuple[int, int]] = []
    client = server.client()
    started = client.submit_file("taste", io.BytesIO(b"sugar\n1\n"), "mine.csv", delimiter=",")
    assert client.wait_for(started, on_progress=lambda done, rows: seen.append((done, rows))).status == "finished"
    assert seen == [(1, 3), (3, 3)]
    assert client.correct("j1", io.BytesIO(b"sugar,line\n1,2\n")).status == "running"
    assert client.cancel_job("j1").status == "canceled"
    assert b'filename="mine.csv"' in server.sent[0][2]
    assert b'name="delimiter"\r\n\r\n,\r\n' in server.sent[0][2]


def test_progress_bar_closes_when_a_job_fails(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(detail(), job("failed", 0, {"code": "file_too_large", "message": "Too many rows."}))
    with pytest.raises(JobEnded):
        server.client().predict("taste", FRAME, show_progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["Colour", "colours", "colou"])
def test_optional_column_that_is_misspelt_is_asked_about(name: str) -> None:
    server = Server(detail())
    with pytest.raises(ValueError, match=f"Did you mean its column '{name}'"):
        server.client().predict("taste", pd.DataFrame({"sugar": [1.0], name: ["red"]}))
    assert len(server.sent) == 1


def test_label_keeps_its_own_apostrophe() -> None:
    header = "sugar,colour,ripe,prediction,probability_x,prediction_set,grade,advice,error\n"
    content = f"{header}1.0,,,''-x,0.75,,,,\n1.0,,,'-x,0.75,,,,\n".encode()
    server = Server(detail(), job("queued"), job("finished", 2), httpx.Response(200, content=content))
    answers = server.client().predict("taste", pd.DataFrame({"sugar": [1.0, 1.0]}))
    assert list(answers["prediction"]) == ["'-x", "-x"]
