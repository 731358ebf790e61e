"""The parts of the benchmarks on which the results depend: statistics, the check of answers, tables, HTTP parsing."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from math import isnan, nan
from typing import Any, cast

import pytest

from benchmarks import chart, environments, goals, report, tables
from benchmarks.exchange import Connection, Reply, ReplyParser, get, post
from benchmarks.figures import median_of_known, median_ratio, percentile, significant
from benchmarks.load import Lost, Pending, Refused, Target, predict
from benchmarks.services import configured, ours, reference, registry
from benchmarks.workloads import Numbers, Workload

WORKLOAD = Workload("lr", [[1.0], [2.0]], [(1.0, 0.25, 0.75), (0.0, 0.5, 0.5)])


# --- Figures --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.2, 1), (0.21, 2), (0.5, 3), (0.9, 5), (0.99, 5), (1.0, 5)]
)
def test_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([5, 3, 1, 4, 2], share) == expected


def test_percentile_without_values_is_nan() -> None:
    assert isnan(percentile([], 0.5))


def test_median_of_known_ignores_rounds_without_a_value() -> None:
    assert median_of_known([None, 1.0, nan, 5.0, 3.0]) == 3.0
    assert median_of_known([None, nan]) is None


def test_median_ratio_compares_within_rounds() -> None:
    # In the second round the machine has half the speed; the ratio stays the same.
    assert median_ratio([100.0, 50.0, 90.0], [50.0, 25.0, 30.0]) == 2.0
    assert median_ratio([1.0, None, 3.0], [0.0, 1.0, None]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (nan, "-"), (0.0, "0.00"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"),
        (1234.5, "1,234"),
    ],
)  # fmt: skip
def test_significant_keeps_three_digits(value: float | None, text: str) -> None:
    assert significant(value, 3) == text


# --- The check of answers -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ((1.0,), True),
        ((1.0, 0.25, 0.75), True),
        ((1.0, 0.25, 0.75 + 9e-7), True),
        ((1.0, 0.25, 0.75 + 2e-6), False),
        ((0.0,), False),
        ((nan,), False),
        ((), False),
        ((1.0, 0.25, 0.75, 0.0), False),
    ],
)
def test_answer_is_right_only_with_the_numbers_of_the_estimator(answer: Numbers, right: bool) -> None:
    assert WORKLOAD.is_right(0, answer) is right


def _foretell_reply(status: str, output: Any = None, code: int = 200) -> Reply:
    return Reply(code, json.dumps({"id": "7", "status": status, "output": output, "error": None}).encode())


def test_foretell_answer_has_the_label_and_the_probabilities() -> None:
    output = {"kind": "classification", "label": "1", "probabilities": {"0": 0.25, "1": 0.75}}
    assert ours.Waiting().read(_foretell_reply("succeeded", output)) == (1.0, 0.25, 0.75)


def test_unfinished_foretell_prediction_is_polled() -> None:
    assert ours.Polling().read(_foretell_reply("queued", code=202)) == Pending(get("/api/v1/predictions/7/"))


@pytest.mark.parametrize("reply", [_foretell_reply("failed"), _foretell_reply("expired"), Reply(503, b"{}")])
def test_failed_foretell_prediction_raises(reply: Reply) -> None:
    with pytest.raises(Refused):
        ours.Waiting().read(reply)


def test_reference_is_polled_until_success() -> None:
    style = reference.Polling()
    assert style.read(Reply(202, b'{"task_id": "7", "status": "PENDING"}')) == Pending(get("/api/predict/7/"))
    assert style.read(Reply(200, b'{"task_id": "7", "status": "SUCCESS", "result": [1.5]}')) == (1.5,)
    with pytest.raises(Refused):
        style.read(Reply(200, b'{"task_id": "7", "status": "FAILURE", "result": null}'))


# --- Replies --------------------------------------------------------------------------------------------------------
LENGTH = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


@pytest.mark.parametrize(("raw", "status"), [(LENGTH, 202), (CHUNKED, 200)])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_reply_is_read_from_pieces_of_any_size(raw: bytes, status: int, size: int) -> None:
    parser = ReplyParser()
    replies = [parser.feed(raw[start : start + size]) for start in range(0, len(raw), size)]
    assert replies[-1] == Reply(status, b"hello")
    assert set(replies[:-1]) <= {None}


def test_reply_without_a_length_ends_with_the_connection() -> None:
    parser = ReplyParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello") is None
    assert parser.closes
    assert parser.end() == Reply(200, b"hello")


def test_incomplete_reply_is_none() -> None:
    parser = ReplyParser()
    parser.feed(LENGTH[:-1])
    assert parser.end() is None


def test_post_has_its_content_length() -> None:
    assert post("/x", b"{}", "Prefer: wait=1\r\n").endswith(b"Prefer: wait=1\r\nContent-Type: application/json\r\n"
                                                            b"Content-Length: 2\r\n\r\n{}")  # fmt: skip


# --- The load client, with a scripted server ------------------------------------------------------------------------
class Echo:
    """A request style whose replies are JSON numbers, `pending` or `refused`."""

    name = "echo"

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return post("/", json.dumps(row).encode())

    def read(self, reply: Reply) -> Numbers | Pending:
        if reply.body == b"pending":
            return Pending(get("/"))
        if reply.body == b"refused":
            raise Refused("no")
        return tuple(json.loads(reply.body))


class ScriptedServer(asyncio.Protocol):
    """Answers each request with the next of the bodies; the last body repeats."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies = bodies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@asynccontextmanager
async def scripted_server(*bodies: bytes) -> AsyncIterator[int]:
    """The port of a server that answers with these bodies."""
    remaining = list(bodies)
    server = await asyncio.get_running_loop().create_server(lambda: ScriptedServer(remaining), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_load_counts_right_wrong_and_refused_answers() -> None:
    async def scenario() -> Any:
        async with scripted_server(b"[1.0]", b"pending", b"[0.0]", b"[7.0]", b"refused", b"[1.0, 0.2, 0.8]") as port:
            return await Target.create(port, Echo(), WORKLOAD).load(1, seconds=10.0, most=5)

    result = asyncio.run(scenario())
    assert (result.right, result.wrong, result.lost, result.errors) == (2, 2, 0, 1)
    assert result.requests_per_answer == 3.0
    assert "no" in result.first_error


def _paced(connections: int, per_second: float) -> Any:
    async def scenario() -> Any:
        async with scripted_server(b"[1.0]") as port:
            target = Target.create(port, Echo(), Workload("lr", [[1.0]], [(1.0,)]))
            return await target.load(connections, seconds=0.5, per_second=per_second)

    return asyncio.run(scenario())


def test_paced_load_sends_no_more_than_the_asked_rate() -> None:
    assert 0 < _paced(4, per_second=40.0).right <= 20


def test_paced_load_ends_before_a_request_that_is_due_later() -> None:
    assert _paced(1, per_second=0.001).right == 1


def test_requests_in_turn_name_each_model() -> None:
    style = configured.InTurn(["a", "b"])
    paths = [style.request("lr", [1.0]).split()[1] for _ in range(3)]
    assert paths == [f"/api/v1/models/{name}/predictions/".encode() for name in "aba"]


def test_services_without_a_measured_workload_are_left_out() -> None:
    present, absent = registry.chosen(["foretell-50-models"], ["lr"])
    assert [kind.name for kind in present] == ["foretell", "reference"]
    assert set(absent) == set(registry.OPTIONAL)


def test_environment_has_the_packages_of_all_its_peers_and_our_version_of_the_estimators() -> None:
    found = environments.requirements("fastapi")
    assert {"fastapi", "onnxruntime", f"scikit-learn=={version('scikit-learn')}"} <= set(found)


def test_predict_raises_lost_for_an_endless_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.load.LOST_SECONDS", 0.0)

    async def scenario() -> None:
        async with scripted_server(b"pending") as port:
            connection = Connection(port)
            try:
                await predict(connection, Echo(), get("/"))
            finally:
                connection.close()

    with pytest.raises(Lost):
        asyncio.run(scenario())


# --- The page -------------------------------------------------------------------------------------------------------
def _cell(per_second: float, wrong: int = 0) -> dict[str, Any]:
    return {"right": 10, "wrong": wrong, "lost": 0, "errors": 0, "per_second": per_second, "p50": 1000 / per_second,
            "p90": 1.0, "p99": 2.0, "requests_per_answer": 1.0, "first_error": ""}  # fmt: skip


def _service(styles: dict[str, float], wrong: int = 0) -> dict[str, Any]:
    loads = {
        style: {
            "calibration_ms": 10.0,
            "loads": {connections: _cell(rate, wrong) for connections in ("1", "32", "256")},
        }
        for style, rate in styles.items()
    }
    return {"cold_start_s": 5.0, "pss_idle_mb": 300.0, "workloads": {"lr": loads},
            "saturated": {"workload": "lr", "page_ms": {"p50": 3.0, "p99": 9.0}, "pss_mb": 400.0}}  # fmt: skip


@pytest.fixture
def results() -> dict[str, Any]:
    about = {"text": "as it is", "keeps": "nothing", "gives": "An answer.", "page": "/", "versions": {"django": "5.2"}}
    rounds = [
        {"services": {"foretell": _service({"waiting": 400.0 / slow, "polling": 200.0 / slow}),
                      "reference": _service({"polling": 100.0 / slow}),
                      "litserve": _service({"one request": 500.0 / slow}, wrong=1)}, "failed": {}}
        for slow in (1, 2)
    ]  # fmt: skip
    rounds.append({"services": {}, "failed": {"foretell": "a process ended"}})
    return {
        "started": "2026-01-02T03:04:05+00:00", "command": "python -m benchmarks", "quick": False, "seconds": 7.0,
        "revision": "abc", "absent": ["mlserver"], "rounds": rounds,
        "machine": {"cpu": "a CPU", "cores": 2, "memory_gib": 8, "system": "Linux", "file_system": "ext4",
                    "python": "3.11"},
        "services": dict.fromkeys(("foretell", "reference", "litserve"), about),
    }  # fmt: skip


def test_advantage_is_above_one_where_ours_is_better(results: dict[str, Any]) -> None:
    other = tables.Contender("reference", "polling")
    assert tables.advantage(results, tables.WAITING, other, "lr", "32", "per_second") == 4.0
    assert tables.advantage(results, tables.WAITING, other, "lr", "1", "p50") == 4.0
    assert tables.advantage(results, tables.POLLING, other, "lr", "32", "per_second") == 2.0


def test_page_has_ratios_faults_and_missing_services(results: dict[str, Any]) -> None:
    lines = report.page(results).splitlines()
    assert "| reference, polling | 4.0 | 4.0 | 1.0 | 4.0 |" in lines
    assert "| litserve | 0.80\\* | 0.80\\* | 1.0\\* | 0.80\\* |" in lines
    assert "| litserve | 375 | 3.00 | 2.00 | 375 | 2.00 | 3.00 | 1.00 | - | 1.00 | 6, 0, 0 | 10.0 |" in lines
    assert "| foretell | 300 | 400 | 5.00 | 3.00 | 9.00 | `/` | lr |" in lines
    assert "| litserve | nothing | An answer. |" in lines
    assert "- mlserver: not installed or not asked for." in lines
    assert "- foretell in round 3: a process ended" in lines


# --- Goals ----------------------------------------------------------------------------------------------------------
def _row(results: dict[str, Any], figure: str) -> list[str]:
    (row,) = [goal.row() for goal in goals.goals(results) if goal.figure == figure]
    return row[1:]


RATE = "lr, foretell, waiting, /s at 32: best of the model servers"


def test_goal_takes_the_best_model_server_of_each_round(results: dict[str, Any]) -> None:
    first, second, _ = results["rounds"]
    assert _row(results, RATE) == ["0.800\\*", "≥ 1.5", "**not met**"]  # its answers are not all right
    first["services"]["bentoml"] = _service({"one request": 1000.0})
    second["services"]["bentoml"] = _service({"one request": 1.0})
    assert _row(results, RATE) == ["0.600\\*", "≥ 1.5", "**not met**"]  # the median of 0.4 and 0.8


def test_goal_does_not_count_a_round_in_which_a_model_server_failed(results: dict[str, Any]) -> None:
    first, second, _ = results["rounds"]
    second["services"]["litserve"] = _service({"one request": 1.0})
    second["failed"] = {"mlserver": "a process ended"}
    assert _row(results, RATE)[0] == "0.800\\*"
    first["failed"] = {"mlserver": "a process ended"}
    assert _row(results, RATE) == ["-", "≥ 1.5", "not measured"]


def test_goal_is_met_at_its_bound(results: dict[str, Any]) -> None:
    for round_, slow in zip(results["rounds"], (1, 2), strict=False):
        round_["services"]["litserve"] = _service({"one request": 400.0 / 1.5 / slow})
        round_["services"]["foretell-postgresql"] = _service({"waiting": 400.0 / 1.3 / slow})
    assert _row(results, RATE)[2] == "met"
    assert _row(results, "lr, foretell-postgresql, waiting, p50 alone: foretell, waiting") == ["1.30", "≤ 1.3", "met"]


def test_goal_without_a_figure_is_not_measured(results: dict[str, Any]) -> None:
    figure = "lr, foretell, waiting, /s at 32: the sketch of the design"
    assert _row(results, figure) == ["-", "≥ 0.75", "not measured"]
    assert _row(results, "1,000 connections: wrong, lost and failed answers")[2] == "not measured"


def test_goals_for_resources_are_absolute(results: dict[str, Any]) -> None:
    assert _row(results, "memory of the whole stack under load (PSS), MB") == ["400", "≤ 300", "**not met**"]
    assert _row(results, "first answer after the start, s") == ["5.00", "≤ 1.5", "**not met**"]
    assert _row(results, "page p99 under load: best of the model servers") == ["1.00", "≤ 1", "met"]


def test_goal_for_many_connections_counts_faults_and_compares_p99(results: dict[str, Any]) -> None:
    loads = results["rounds"][0]["services"]["foretell"]["workloads"]["lr"]["waiting"]["loads"]
    loads |= {"1000": {**_cell(400.0, wrong=1), "p99": 8.0}, "1000 paced": {**_cell(200.0), "p99": 2.5}}
    loads |= {"256 paced": {**_cell(200.0), "p99": 2.0}}
    assert _row(results, "1,000 connections: wrong, lost and failed answers") == ["1", "≤ 0", "**not met**"]
    assert _row(results, "lr, p99 at 1,000 connections, without pauses: p99 at 256")[0] == "4.00"
    assert _row(results, "lr, p99 at 1,000 connections, half rate: p99 at 256") == ["1.25", "≤ 1.5", "met"]
    assert _row(results, "wrong, lost and failed answers of Foretell, all loads") == ["1", "≤ 0", "**not met**"]


def test_goals_count_no_fault_of_other_services(results: dict[str, Any]) -> None:
    assert _row(results, "wrong, lost and failed answers of Foretell, all loads") == ["0", "≤ 0", "met"]


# --- The page, continued --------------------------------------------------------------------------------------------
def test_page_of_a_quick_run_has_a_warning(results: dict[str, Any]) -> None:
    sentence = "**A quick run: these figures mean nothing.**"
    assert sentence not in report.page(results)
    assert sentence in report.page({**results, "quick": True})


def test_table_is_markdown() -> None:
    assert tables.table(["", "a"], [["x", "1"], ["y", "2"]]) == "|  | a |\n| --- | --: |\n| x | 1 |\n| y | 2 |\n"


def test_chart_draws_a_bar_for_each_contender(results: dict[str, Any]) -> None:
    drawn = chart.draw(report.throughputs(results))
    assert drawn.count("<rect") == 4
    assert drawn.count('class="bar ours"') == 2
    assert f'width="{chart.BARS}"' in drawn  # the longest bar is that of litserve


def test_chart_escapes_names() -> None:
    assert "<b>" not in chart.draw({"<b>": [("<b>", 1.0)]})
