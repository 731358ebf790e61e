"""The rows that a worker has claimed."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the web never loads numpy
    from predictions.serving.engines.predictor import Outcome


@dataclass(frozen=True)
class ClaimedRow:
    id: uuid.UUID
    version_id: int
    # The registered hash at the time of the claim: after a database restore, `version_id` may name another artefact.
    sha256: str
    values: list[Any]
    # This claim is counted too.
    attempts: int


@dataclass(frozen=True)
class Claim:
    """The rows that one worker has claimed: the oldest of a lane, of one or several versions.

    Times are the database's: a worker's own clock may be wrong. `now()` adds the time that has passed since the claim.
    """

    token: uuid.UUID
    rows: list[ClaimedRow]
    claimed_at: datetime
    _monotonic: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self.claimed_at + timedelta(seconds=time.monotonic() - self._monotonic)

    def by_version(self) -> "dict[int, Claim]":
        """One part for each version, with the same token and clock. A predict call takes one part."""
        groups: dict[int, list[ClaimedRow]] = {}
        for row in self.rows:
            groups.setdefault(row.version_id, []).append(row)
        return {version_id: replace(self, rows=rows) for version_id, rows in groups.items()}


@dataclass(frozen=True)
class Predicted:
    """The outcomes of one part of a claim, in the order of its rows, and the milliseconds of their predict call."""

    claim: Claim
    outcomes: "Sequence[Outcome]"
    predict_ms: float
