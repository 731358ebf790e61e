"""Short versions of the attacks of `make siege`."""

from collections.abc import Iterator

import pytest

from tests.siege import crowd, runner
from tests.siege.attacks import ATTACKS
from tests.support.stack import Stack, prepared

# The machine may be busy. So the tests open a fifth of the connections, and allow three times the limit, or three times
# the response times without an attack.
SHARE = 0.2
SECONDS = 3.0
TIME_FACTOR = 3.0


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    assert request.config.cache
    models = tmp_path_factory.mktemp("siege") / "models"
    collected = request.config.cache.mkdir("foretell-static")
    with prepared(runner.trained(models), collected, CONNECTIONS_PER_ADDRESS=100) as stack:
        runner.prepare(stack)
        stack.start("redis", "worker", "web")
        yield stack


def test_attacks_from_one_address_delay_nobody_else(stack: Stack) -> None:
    undisturbed, *attacked = runner.run_all(stack, list(ATTACKS), SECONDS, SHARE)

    slowest = max(one.quantile(0.99) for one in (undisturbed.pages, undisturbed.api))
    limit = max(TIME_FACTOR * runner.LIMIT_SECONDS, TIME_FACTOR * slowest)
    assert [one.name for one in attacked if not one.held(limit)] == [], runner.table([undisturbed, *attacked])


def test_thousand_callers_at_one_time_are_all_answered(stack: Stack) -> None:
    crowds = crowd.run(int(stack.env["PORT"]))

    assert all(one.held() for one in crowds), crowd.table(crowds)
