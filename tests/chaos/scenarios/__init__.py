"""All faults. Importing a module of this package registers its own."""

from tests.chaos import scenario
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import (  # noqa: F401
    artefacts,
    brokers,
    databases,
    deployments,
    overload,
    rings,
    rows,
    workers,
)


def position(one: Scenario) -> tuple[int, str]:
    """By the number in the list of faults; what has none comes last."""
    number = one.tests.partition(",")[0].removeprefix("T")
    return (int(number) if number.isdigit() else 99, one.name)


SCENARIOS = {one.name: one for one in sorted(scenario.REGISTERED.values(), key=position)}
