"""A predict call that exceeds its time limit: which rows fail, which are queued again, and what is logged."""

import logging
import time
import uuid

import pytest
import redis

from predictions.models import Claim, ModelVersion, Prediction, State
from predictions.worker import drain
from predictions.worker.time_limit import Call
from tests.integration.conftest import make

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
