"""All scenarios. Each module of this package registers its scenarios on import."""

from tests.chaos import scenario
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import (  # noqa: F401
    artefacts,
    brokers,
    databases,
    deployments,
    duplicates,
    overload,
    rows,
    workers,
)


def position(one: Scenario) -> tuple[int, str]:
    """The sort key of a scenario: its number in the list of faults. Scenarios without a number come last."""
    number = one.tests.partition(",")[0].removeprefix("T")
    return (int(number) if number.isdigit() else 99, one.name)


SCENARIOS = {one.name: one for one in sorted(scenario.REGISTERED.values(), key=position)}
