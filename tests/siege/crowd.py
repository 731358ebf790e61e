"""A crowd: many callers, each from its own address, send requests at the same time and wait for their answers.

All connections are open before the first request is sent, so that the requests are truly concurrent.
"""

import asyncio
import json
import resource
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

CALLERS = 1000
TURNS = 3
# Longer than the time for which a request may wait for its answer.
SECONDS = 60.0
OPENED_AT_A_TIME = 50
INFER = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 0.0]}]}
DOORS: Mapping[str, tuple[str, bytes]] = {
    "/api/v1/": ("/api/v1/models/probe/predictions/", json.dumps({"features": {"x": 1, "seconds": 0}}).encode()),
    "/v2/": ("/v2/models/probe/infer", json.dumps(INFER).encode()),
}


@dataclass
class Crowd:
    """The results of the requests to one interface, `/api/v1/` or `/v2/`. A broken connection counts as status 0."""

    door: str
    callers: int
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    def held(self) -> bool:
        return set(self.statuses) == {200} and self.statuses[200] == self.callers * TURNS

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


def run(port: int, callers: int = CALLERS) -> list[Crowd]:
    """Let the crowd send its requests to each interface in turn."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return [asyncio.run(_gather(door, port, callers)) for door in DOORS]


async def _gather(door: str, port: int, callers: int) -> Crowd:
    crowd, free, start = Crowd(door, callers), asyncio.Semaphore(OPENED_AT_A_TIME), asyncio.Event()
    ready = asyncio.Barrier(callers + 1)
    async with asyncio.TaskGroup() as asking:  # if one caller cannot connect, all are canceled
        for number in range(callers):
            asking.create_task(_ask(crowd, port, number, free, ready, start))
        await ready.wait()
        begin = time.monotonic()
        start.set()
    crowd.lasted = time.monotonic() - begin
    return crowd


async def _ask(
    crowd: Crowd, port: int, number: int, free: asyncio.Semaphore, ready: asyncio.Barrier, start: asyncio.Event
) -> None:
    address = f"127.1.{number // 250}.{number % 250 + 1}"
    async with free:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        await ready.wait()
        await start.wait()
        for _ in range(TURNS):
            begin = time.monotonic()
            crowd.statuses[await _status(reader, writer, crowd.door)] += 1
            crowd.seconds.append(time.monotonic() - begin)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: str) -> int:
    path, body = DOORS[door]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nPrefer: wait=30\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(head.encode() + body)
            await writer.drain()
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            length = next(line for line in lines if line.startswith("content-length:"))
            await reader.readexactly(int(length.partition(":")[2]))
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return 0
    return int(lines[0].split()[1])


def table(crowds: Sequence[Crowd]) -> str:
    lines = [
        "| address | callers at one time | requests | statuses | answers a second | p50 / p99 / longest | held |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in crowds:
        statuses = ", ".join(f"{status or 'broken'} ({count} times)" for status, count in sorted(one.statuses.items()))
        times = " / ".join(f"{one.quantile(share):.2f}" for share in (0.5, 0.99, 1.0))
        lines.append(
            f"| `{one.door}` | {one.callers} | {len(one.seconds)} | {statuses} | {len(one.seconds) / one.lasted:.0f}"
            f" | {times} s | {'yes' if one.held() else 'NO'} |"
        )
    return "\n".join(lines)
