"""The one load client: as many askers as there are connections, each with one prediction at a time."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.exchange import Connection, Reply
from benchmarks.figures import Cell, percentile
from benchmarks.workloads import Numbers, Workload

# An accepted prediction that has not ended by then is lost.
LOST_SECONDS = 60.0
# Askers stop asking when their time is over, and then wait for what they asked last.
GRACE_SECONDS = 90.0

# Pauses before each look at a prediction that is not finished; the last one goes on.
COARSE = (0.0, 0.02, 0.02, 0.02, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.25)
FINE = (0.0, 0.001, 0.001, 0.002, 0.002, 0.003, 0.004, 0.005)


class Refused(Exception):
    """An answer that is none: an error status, or a prediction that failed."""


class Lost(Exception):
    """Accepted, and not finished in time."""


@dataclass(frozen=True)
class Pending:
    """Not finished; `request` looks again."""

    request: bytes


class Way(Protocol):
    """One way to ask one service for a prediction."""

    name: str

    def request(self, workload: str, row: Sequence[float]) -> bytes: ...

    def read(self, reply: Reply) -> Numbers | Pending:
        """What a reply to the request or to a look says. Raises Refused."""


async def predict(connection: Connection, way: Way, request: bytes, pauses: Sequence[float] = COARSE) -> Numbers:
    """Raises Refused, Lost, OSError or TimeoutError."""
    until = time.perf_counter() + LOST_SECONDS
    reading = way.read(await connection.ask(request))
    for pause in itertools.chain(pauses, itertools.repeat(pauses[-1])):
        if not isinstance(reading, Pending):
            return reading
        if time.perf_counter() > until:
            break
        if pause:
            await asyncio.sleep(pause)
        reading = way.read(await connection.ask(reading.request))
    raise Lost


@dataclass
class Tally:
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    errors: list[str] = field(default_factory=list)
    requests: int = 0

    def cell(self, elapsed: float) -> Cell:
        """Only right answers count as carried."""
        right = len(self.seconds)
        p50, p90, p99 = (percentile(self.seconds, share) * 1000 for share in (0.5, 0.9, 0.99))
        return Cell(
            right, self.wrong, self.lost, len(self.errors), right / elapsed, p50, p90, p99,
            self.requests / max(right, 1), self.errors[0] if self.errors else "",
        )  # fmt: skip


@dataclass(frozen=True)
class Target:
    """One way to ask the service at a port, with the rows of one workload."""

    port: int
    way: Way
    workload: Workload
    requests: Sequence[bytes]

    @classmethod
    def of(cls, port: int, way: Way, workload: Workload) -> "Target":
        return cls(port, way, workload, [way.request(workload.name, row) for row in workload.rows])

    async def first_answer(self) -> None:
        """One right answer, or an exception."""
        connection = Connection(self.port, seconds=20.0)
        try:
            answer = await predict(connection, self.way, self.requests[0])
        finally:
            connection.close()
        if not self.workload.is_right(0, answer):
            raise Refused(f"a wrong answer: {answer}")

    async def load(
        self, connections: int, seconds: float, most: int | None = None, pauses: Sequence[float] = COARSE
    ) -> Cell:
        """Ask without a break for `seconds`, or until `most` have been asked."""
        tally = Tally()
        places = iter(range(most)) if most else itertools.count()
        start = time.perf_counter()
        askers = [self._ask(tally, places, start + seconds, pauses) for _ in range(connections)]
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            await asyncio.gather(*askers)
        return tally.cell(time.perf_counter() - start)

    async def _ask(self, tally: Tally, places: Iterator[int], until: float, pauses: Sequence[float]) -> None:
        connection = Connection(self.port)
        while (start := time.perf_counter()) < until and (place := next(places, None)) is not None:
            place %= len(self.requests)
            try:
                answer = await predict(connection, self.way, self.requests[place], pauses)
            except Lost:
                tally.lost += 1
            except (Refused, OSError, ValueError, LookupError, TypeError) as error:
                # Whatever cannot be read as an answer is none.
                tally.errors.append(repr(error)[:200])
                await asyncio.sleep(0.02)
            else:
                if self.workload.is_right(place, answer):
                    tally.seconds.append(time.perf_counter() - start)
                else:
                    tally.wrong += 1
        tally.requests += connection.requests
        connection.close()


async def probe(port: int, page: bytes, seconds: float, pause: float = 0.03) -> list[float]:
    """Milliseconds that one page takes, asked for again and again; one that fails counts as endless."""
    connection, until, spent = Connection(port, seconds=20.0), time.perf_counter() + seconds, []
    while (start := time.perf_counter()) < until:
        try:
            reply = await connection.ask(page)
            ok = reply.status == 200
        except OSError:
            ok = False
        spent.append((time.perf_counter() - start) * 1000 if ok else float("inf"))
        await asyncio.sleep(pause)
    connection.close()
    return spent
