"""What a worker has taken for one predict call."""

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class ClaimedRow:
    id: uuid.UUID
    values: list[Any]


@dataclass(frozen=True)
class Claim:
    """The rows that one worker has taken for one predict call.

    Times are the database's: a worker's own clock may be wrong. `now()` adds what has passed here since the claim.
    """

    token: uuid.UUID
    rows: list[ClaimedRow]
    claimed_at: datetime
    _monotonic: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self.claimed_at + timedelta(seconds=time.monotonic() - self._monotonic)
