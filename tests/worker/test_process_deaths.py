"""Whatever dies: every accepted prediction ends, once, and right."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.worker.estimators import EAT

SECONDS_AFTER_THE_LAST_KILL = 60


def submit_many(stack: Stack, numbers: range) -> dict[str, int]:
    """Which number each accepted prediction is about, so that a mixed-up answer would show."""
    with ThreadPoolExecutor(8) as callers:
        ids = callers.map(lambda number: stack.submit("probe", {"x": number, "seconds": 0.02}), numbers)
        return dict(zip(ids, numbers, strict=True))


def wait_for_running(stack: Stack) -> None:
    wait_until(lambda: "running" in stack.states(), 30, "a row runs")


def answers(stack: Stack, asked: dict[str, int]) -> dict[int, float | str]:
    """The answer to each number, or the state of a prediction that has none."""
    found = {prediction_id: stack.get(prediction_id) for prediction_id in asked}
    return {asked[key]: one["output"]["value"] if one["output"] else one["status"] for key, one in found.items()}


def test_every_prediction_outlives_the_death_of_anything(stack: Stack) -> None:
    asked = submit_many(stack, range(150))
    wait_for_running(stack)
    stack["worker"].kill_children()

    asked |= submit_many(stack, range(150, 300))
    stack["redis"].kill()
    asked |= submit_many(stack, range(300, 400))
    stack["redis"].start()

    asked |= submit_many(stack, range(400, 500))
    wait_for_running(stack)
    stack["worker"].kill()
    stack["worker"].start()

    rows = stack.wait_for_end(asked, SECONDS_AFTER_THE_LAST_KILL)
    assert len(rows) == len(asked) == 500
    assert answers(stack, asked) == {number: 2 * number + 1 for number in range(500)}
    stack.replace_worker()


def test_worker_that_is_asked_to_end_finishes_what_it_has(stack: Stack) -> None:
    # Its fallback worker may execute the lane after an earlier fault.
    stack["keeper"].terminate()
    ids = [stack.submit("probe", {"x": number, "seconds": 0.5}) for number in range(10)]
    wait_for_running(stack)
    stack["worker"].terminate()
    assert "running" not in stack.states()
    stack["keeper"].start()
    stack["worker"].start()
    rows = stack.wait_for_end(ids, 30)
    assert [(row["state"], row["attempts"]) for row in rows] == [("succeeded", 1)] * 10


def test_rows_that_kill_or_hang_are_given_up_and_spare_the_others(stack: Stack) -> None:
    stack["worker"].freeze()
    crashing = [stack.submit("probe-crashing", {"x": x, "seconds": 0}) for x in (0, 1, 1_000_002, 2, 3)]
    hanging = [stack.submit("probe-hanging", {"x": x, "seconds": 0}) for x in (0, 1_000_003, 1)]
    stack["worker"].thaw()
    rows = {row["id"]: row for row in stack.wait_for_end([*crashing, *hanging], 60)}

    def told(ids: list[str]) -> list[tuple[str, str]]:
        return [(rows[one]["state"], rows[one]["error_code"]) for one in ids]

    good, given_up = ("succeeded", ""), ("failed", "worker_lost")
    assert told(crashing) == [good, good, given_up, good, good]
    assert told(hanging) == [good, given_up, good]
    assert [rows[one]["attempts"] for one in (crashing[2], hanging[1])] == [3, 3]


def test_row_that_eats_all_memory_spares_the_worker(stack: Stack) -> None:
    eating = stack.submit("probe-crashing", {"x": EAT, "seconds": 0})
    wait_until(lambda: "OutOfMemory" in stack["worker"].log.read_text(), 30, "the task has failed")
    good = stack.submit("probe-crashing", {"x": 1, "seconds": 0})
    stack.wait_for_state(good, "succeeded", 30)
    assert stack["worker"].is_running
    stack.client.post(f"/api/v1/predictions/{eating}/cancel/")


def test_claim_that_outlived_its_lease_is_given_to_another_worker(stack: Stack) -> None:
    prediction_id = stack.submit("probe", {"x": 8, "seconds": 1})
    first = stack.wait_for_state(prediction_id, "running", 30)
    stack["worker"].freeze()
    # The fallback worker executes it: the lane stands still.
    stack.wait_for_state(prediction_id, "succeeded", 40)
    stack["worker"].thaw()
    wait_until(stack.is_idle, 20, "the worker has tried to store its result")
    row = stack.rows([prediction_id])[0]
    # The late result was refused: what is stored belongs to a later claim.
    assert row["claim"] != first["claim"]
    assert stack.get(prediction_id)["output"]["value"] == 17
