"""A predict call that exceeds its time limit: which rows fail, which are queued again, and what is logged."""

import logging
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest
import redis

from predictions.models import Claim, ModelVersion, Prediction, State
from predictions.worker import drain
from predictions.worker.time_limit import Call
from tests.integration.conftest import make
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def claimed(count: int) -> Claim:
    claim = Prediction.objects.claim("interactive", count)
    assert claim is not None
    return claim


def call_of(claim: Claim, version: ModelVersion, seconds: float = 3.0) -> Call:
    return Call(version.pk, claim, time.monotonic() - seconds)


def outcomes() -> dict[uuid.UUID, tuple[str, str]]:
    return {row.pk: (row.state, row.error_code) for row in Prediction.objects.all()}


def test_row_alone_fails_as_timeout_with_the_time_it_took(clean_redis: redis.Redis, iris: ModelVersion) -> None:
    row = make(iris)
    drain.end_call(call_of(claimed(1), iris))

    row.refresh_from_db()
    assert (row.state, row.error_code, row.claimed_until) == (State.FAILED, "timeout", None)
    assert row.predict_ms == pytest.approx(3000, abs=1000)
    assert row.finished_at is not None


def test_rows_in_company_are_queued_again_and_then_claimed_alone(clean_redis: redis.Redis, iris: ModelVersion) -> None:
    rows = [make(iris), make(iris)]
    drain.end_call(call_of(claimed(2), iris))

    assert outcomes() == {row.pk: (State.QUEUED, "") for row in rows}
    assert len(claimed(2).rows) == 1


def test_rows_without_an_attempt_left_keep_their_lease(
    clean_redis: redis.Redis, iris: ModelVersion, settings: pytest.FixtureRequest
) -> None:
    settings.MAX_ATTEMPTS = 1  # type: ignore[attr-defined]
    rows = [make(iris), make(iris)]
    drain.end_call(call_of(claimed(2), iris))

    assert outcomes() == {row.pk: (State.RUNNING, "") for row in rows}


def test_row_that_was_canceled_meanwhile_stays_canceled(clean_redis: redis.Redis, iris: ModelVersion) -> None:
    row = make(iris)
    claim = claimed(1)
    Prediction.objects.filter(pk=row.pk).cancel()
    drain.end_call(call_of(claim, iris))

    assert outcomes() == {row.pk: (State.CANCELED, "")}


def test_operator_reads_which_limit_and_how_long_it_took(
    clean_redis: redis.Redis, iris: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    make(iris)
    with caplog.at_level(logging.ERROR):
        drain.end_call(call_of(claimed(1), iris))

    assert "a predict call of iris v1 with 1 row(s) exceeds TIME_LIMIT (20 s): it has taken 3." in caplog.text


# A process whose call works for 0.8 s, with a limit of 1 s, and writes what came of it.
CALL = """
import sys, time, uuid
from datetime import datetime
import django
django.setup()
from predictions.models import Claim
from predictions.worker.time_limit import TimeLimit
limit = TimeLimit(float(sys.argv[1]), lambda call: print("exceeded", flush=True))
with limit.applied(1, Claim(uuid.uuid4(), [], datetime.now())):
    print("begun", flush=True)
    for _ in range(16):
        time.sleep(0.05)
print("returned", flush=True)
"""


def call_in_a_process(limit: float) -> subprocess.Popen[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, str(limit)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_call_of_a_process_that_was_suspended_is_not_ended() -> None:
    with call_in_a_process(limit=1.5) as process:
        process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() - stopped > 2, 10, "it is suspended for longer than its limit")
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=30)[0] == "returned\n"


def test_call_that_lasts_too_long_is_ended() -> None:
    with call_in_a_process(limit=0.2) as process:
        assert process.communicate(timeout=30)[0] == "exceeded\n"
    assert process.returncode == -signal.SIGKILL
