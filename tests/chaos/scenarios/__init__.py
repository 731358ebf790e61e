"""All scenarios. Each module of this package registers its scenarios on import."""

from tests.chaos import scenario
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import (  # noqa: F401
    artefacts,
    brokers,
    clocks,
    databases,
    deployments,
    duplicates,
    overload,
    pairs,
    progress,
    rows,
    streams,
    versions,
    webhooks,
    workers,
)


def position(one: Scenario) -> tuple[int, str]:
    """The sort key of a scenario: its number in the list of faults. Scenarios without a number come last."""
    kind, number = one.tests[0], one.tests.partition(",")[0][1:]
    return ("TP".find(kind) * 100 + int(number) if number.isdigit() else 999, one.name)


SCENARIOS = {one.name: one for one in sorted(scenario.REGISTERED.values(), key=position)}
