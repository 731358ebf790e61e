"""The load client, the same for all services. Each connection has one prediction at a time."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.exchange import Connection, Reply
from benchmarks.figures import LoadResult, percentile
from benchmarks.workloads import Numbers, Workload

# An accepted prediction without an answer after this time counts as lost.
LOST_SECONDS = 60.0
# After the end of a load, each connection waits up to this time for its last answer.
GRACE_SECONDS = 90.0

# Pauses before each poll of an unfinished prediction. The last pause repeats.
COARSE = (0.0, 0.02, 0.02, 0.02, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.25)
FINE = (0.0, 0.001, 0.001, 0.002, 0.002, 0.003, 0.004, 0.005)


class Refused(Exception):
    """The service answered with an error, or the prediction failed."""


class Lost(Exception):
    """The prediction was accepted and did not finish in time."""


@dataclass(frozen=True)
class Pending:
    """The prediction is not finished; `request` polls it."""

    request: bytes


class RequestStyle(Protocol):
    """A style of requesting predictions from a service, for example: one request that waits, or submit and poll."""

    name: str

    def request(self, workload: str, row: Sequence[float]) -> bytes: ...

    def read(self, reply: Reply) -> Numbers | Pending:
        """Read the reply to a request or to a poll. Raises Refused."""


async def predict(
    connection: Connection, style: RequestStyle, request: bytes, pauses: Sequence[float] = COARSE
) -> Numbers:
    """Send a request, and poll until its answer. Raises Refused, Lost, OSError or TimeoutError."""
    until = time.perf_counter() + LOST_SECONDS
    reading = style.read(await connection.send(request))
    for pause in itertools.chain(pauses, itertools.repeat(pauses[-1])):
        if not isinstance(reading, Pending):
            return reading
        if time.perf_counter() > until:
            break
        if pause:
            await asyncio.sleep(pause)
        reading = style.read(await connection.send(reading.request))
    raise Lost


@dataclass
class Counts:
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    errors: list[str] = field(default_factory=list)
    requests: int = 0

    def result(self, elapsed: float) -> LoadResult:
        """The result after `elapsed` seconds. The rate counts right answers only."""
        right = len(self.seconds)
        p50, p90, p99 = (percentile(self.seconds, share) * 1000 for share in (0.5, 0.9, 0.99))
        return LoadResult(
            right, self.wrong, self.lost, len(self.errors), right / elapsed, p50, p90, p99,
            self.requests / max(right, 1), self.errors[0] if self.errors else "",
        )  # fmt: skip


@dataclass
class Pace:
    """The starts of the requests of one connection: every `every` seconds from `due`, or later after a late answer."""

    due: float
    every: float

    async def next_start(self, until: float) -> float:
        """Wait for the next start, and return its time. A start that is due after `until` is returned at once."""
        if self.due >= until:
            return self.due
        if (early := self.due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        start = time.perf_counter()
        self.due = max(self.due + self.every, start)
        return start


@dataclass(frozen=True)
class Target:
    """The service at a port, a request style, and the rows of one workload."""

    port: int
    style: RequestStyle
    workload: Workload
    requests: Sequence[bytes]

    @classmethod
    def create(cls, port: int, style: RequestStyle, workload: Workload) -> "Target":
        return cls(port, style, workload, [style.request(workload.name, row) for row in workload.rows])

    async def first_answer(self) -> None:
        """Request one prediction. Raises an exception unless its answer is right."""
        connection = Connection(self.port, seconds=20.0)
        try:
            answer = await predict(connection, self.style, self.requests[0])
        finally:
            connection.close()
        if not self.workload.is_right(0, answer):
            raise Refused(f"wrong answer: {answer}")

    async def load(
        self,
        connections: int,
        seconds: float,
        most: int | None = None,
        pauses: Sequence[float] = COARSE,
        per_second: float | None = None,
    ) -> LoadResult:
        """Send requests for `seconds`, or until `most` requests are sent.

        Without `per_second`, each connection sends its next request directly after an answer. With it, the connections
        together send this number of requests in a second, as long as answers come in time.
        """
        counts = Counts()
        places = iter(range(most)) if most else itertools.count()
        start = time.perf_counter()
        every = connections / per_second if per_second else 0.0
        # The connections take turns within an interval.
        clients = [
            self._use_connection(
                counts, places, start + seconds, pauses, Pace(start + every * turn / connections, every)
            )
            for turn in range(connections)
        ]
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            await asyncio.gather(*clients)
        return counts.result(time.perf_counter() - start)

    async def _use_connection(
        self, counts: Counts, places: Iterator[int], until: float, pauses: Sequence[float], pace: Pace
    ) -> None:
        connection = Connection(self.port)
        while (start := await pace.next_start(until)) < until and (place := next(places, None)) is not None:
            place %= len(self.requests)
            try:
                answer = await predict(connection, self.style, self.requests[place], pauses)
            except Lost:
                counts.lost += 1
            except (Refused, OSError, ValueError, LookupError, TypeError) as error:
                # A reply that cannot be parsed counts as an error.
                counts.errors.append(repr(error)[:200])
                await asyncio.sleep(0.02)
            else:
                if self.workload.is_right(place, answer):
                    counts.seconds.append(time.perf_counter() - start)
                else:
                    counts.wrong += 1
        counts.requests += connection.requests
        connection.close()


async def probe(port: int, page: bytes, seconds: float, pause: float = 0.03) -> list[float]:
    """The milliseconds of repeated requests for one page; infinity for a failed one."""
    connection, until, spent = Connection(port, seconds=20.0), time.perf_counter() + seconds, []
    while (start := time.perf_counter()) < until:
        try:
            reply = await connection.send(page)
            ok = reply.status == 200
        except OSError:
            ok = False
        spent.append((time.perf_counter() - start) * 1000 if ok else float("inf"))
        await asyncio.sleep(pause)
    connection.close()
    return spent
