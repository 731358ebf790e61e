"""All faults, in the order in which they run. Importing a module of this package registers its own."""

from tests.chaos.scenario import SCENARIOS
from tests.chaos.scenarios import (
    artefacts,  # noqa: F401
    brokers,  # noqa: F401
    databases,  # noqa: F401
    deployments,  # noqa: F401
    overload,  # noqa: F401
    rings,  # noqa: F401
    rows,  # noqa: F401
    workers,  # noqa: F401
)

__all__ = ["SCENARIOS"]
