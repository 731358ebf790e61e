"""Processes crash: each accepted prediction still finishes once, with the right answer."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.worker.estimators import EXHAUST, HANG

RECOVERY_SECONDS = 60


def submit_many(stack: Stack, numbers: range) -> dict[str, int]:
    """Submit the numbers. Returns the number of each prediction id, so that swapped answers are detected."""
    with ThreadPoolExecutor(8) as callers:
        ids = callers.map(lambda number: stack.submit("probe", {"x": number, "seconds": 0.02}), numbers)
        return dict(zip(ids, numbers, strict=True))


def submit_slow(stack: Stack, number: int) -> dict[str, int]:
    """Submit a number whose answer takes three seconds, and wait until a worker executes it."""
    prediction_id = stack.submit("probe", {"x": number, "seconds": 3})
    wait_until(lambda: stack.get(prediction_id)["status"] == "running", 30, "the slow row is running")
    return {prediction_id: number}


def answers(stack: Stack, submitted: dict[str, int]) -> dict[int, float | str]:
    """The answer to each number, or the state of its prediction without an answer."""
    found = {prediction_id: stack.get(prediction_id) for prediction_id in submitted}
    return {submitted[key]: one["output"]["value"] if one["output"] else one["status"] for key, one in found.items()}


def test_predictions_finish_after_crashes_of_each_process(stack: Stack) -> None:
    submitted = submit_many(stack, range(150)) | submit_slow(stack, 500)
    stack["worker"].kill_children()

    submitted |= submit_many(stack, range(150, 300))
    stack["redis"].kill()
    submitted |= submit_many(stack, range(300, 400))
    stack["redis"].start()

    submitted |= submit_many(stack, range(400, 500)) | submit_slow(stack, 501)
    stack["worker"].kill()
    stack["worker"].start()

    rows = stack.wait_for_end(submitted, RECOVERY_SECONDS)
    assert len(rows) == len(submitted) == 502
    assert answers(stack, submitted) == {number: 2 * number + 1 for number in range(502)}
    stack.replace_worker()


def test_terminated_worker_finishes_its_claim(stack: Stack) -> None:
    # After an earlier fault the fallback worker of the keeper may still execute this lane.
    stack["keeper"].terminate()
    ids = [stack.submit("probe", {"x": number, "seconds": 0.5}) for number in range(10)]

    def is_running() -> bool:
        """Submit one more row: without the keeper, a notification for a process that has ended is not repeated."""
        ids.append(stack.submit("probe", {"x": len(ids), "seconds": 0.5}))
        return "running" in stack.states(ids)

    wait_until(is_running, 30, "a row is running")
    stack["worker"].terminate()
    assert "running" not in stack.states()
    stack["keeper"].start()
    stack["worker"].start()
    rows = stack.wait_for_end(ids, 30)
    assert [(row["state"], row["attempts"]) for row in rows] == [("succeeded", 1)] * len(ids)


def test_rows_that_crash_or_hang_fail_alone(stack: Stack) -> None:
    stack.freeze("worker")
    crashing = [stack.submit("probe-crashing", {"x": x, "seconds": 0}) for x in (0, 1, 1_000_002, 2, 3)]
    hanging = [stack.submit("probe-hanging", {"x": x, "seconds": 0}) for x in (0, 1_000_003, 1)]
    stack["worker"].thaw()
    rows = {row["id"]: row for row in stack.wait_for_end([*crashing, *hanging], 60)}

    def outcomes(ids: list[str]) -> list[tuple[str, str]]:
        return [(rows[one]["state"], rows[one]["error_code"]) for one in ids]

    good = "succeeded", ""
    assert outcomes(crashing) == [good, good, ("failed", "worker_lost"), good, good]
    assert outcomes(hanging) == [good, ("failed", "timeout"), good]
    assert rows[crashing[2]]["attempts"] == 3


def test_row_that_always_exceeds_the_time_limit_is_executed_once(stack: Stack) -> None:
    hanging = stack.submit("probe-hanging", {"x": HANG, "seconds": 0})
    [row] = stack.wait_for_end([hanging], 20)
    prediction = stack.get(hanging)

    assert (row["state"], row["error_code"], row["attempts"]) == ("failed", "timeout", 1)
    assert prediction["timing"]["predict_ms"] >= 4000
    log = stack["worker"].log.read_text()
    assert "a predict call of probe-hanging v1 with 1 row(s) exceeds TIME_LIMIT (4 s)" in log
    # The killed process is replaced.
    assert stack.wait_for_end([stack.submit("probe", {"x": 3, "seconds": 0})], 20)[0]["state"] == "succeeded"


def test_row_that_exhausts_memory_does_not_stop_the_worker(stack: Stack) -> None:
    exhausting = stack.submit("probe-crashing", {"x": EXHAUST, "seconds": 0})
    wait_until(lambda: "MemoryError" in stack["worker"].log.read_text(), 30, "the task has failed")
    good = stack.submit("probe-crashing", {"x": 1, "seconds": 0})
    stack.wait_for_state(good, "succeeded", 30)
    assert stack["worker"].is_running
    stack.client.post(f"/api/v1/predictions/{exhausting}/cancel/")


def test_expired_claim_is_predicted_again(stack: Stack) -> None:
    prediction_id = stack.submit("probe", {"x": 8, "seconds": 3})
    first = stack.wait_for_state(prediction_id, "running", 30)
    stack.freeze("worker")
    # The fallback worker executes it: the lane stands still.
    stack.wait_for_state(prediction_id, "succeeded", 40)
    stack["worker"].thaw()
    wait_until(stack.is_idle, 20, "the worker has tried to store its result")
    row = stack.rows([prediction_id])[0]
    # The late result was discarded: the stored one belongs to a later claim.
    assert row["claim"] != first["claim"]
    assert stack.get(prediction_id)["output"]["value"] == 17


def test_stream_of_events_outlives_the_worker_and_a_lost_connection(stack: Stack) -> None:
    prediction_id = stack.submit("probe", {"x": 700, "seconds": 3})
    address = f"/api/v1/predictions/{prediction_id}/events/"
    seen: list[str] = []
    with stack.client.stream("GET", address, timeout=RECOVERY_SECONDS) as stream:
        for line in stream.iter_lines():
            seen += [line.removeprefix("id: ")] if line.startswith("id: ") else []
            if seen and seen[-1] == "running-1":
                break
    stack["worker"].kill_children()

    with stack.client.stream("GET", address, headers={"Last-Event-ID": seen[-1]}, timeout=RECOVERY_SECONDS) as stream:
        rest = [line.removeprefix("id: ") for line in stream.iter_lines() if line.startswith("id: ")]

    assert "running-1" not in rest  # nothing comes twice
    assert rest[-1].startswith("succeeded-")
    assert stack.client.get(address, headers={"Last-Event-ID": rest[-1]}).status_code == 204
    stack.replace_worker()
