"""Runs each attack against a stack, and measures how long other clients wait for pages and the API meanwhile."""

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from project.env import BASE_DIR
from tests.siege.attacks import ATTACKS
from tests.support.stack import Stack

PROBE = BASE_DIR / "tests/worker/models/probe"
LIMIT_SECONDS = 1.0
# The attack builds up before the measurement begins.
LEAD_SECONDS = 3.0
# Between two requests of a measured client.
PAUSE_SECONDS = 0.1
LARGE_FILE_BYTES = 8 * 1024 * 1024
FEATURES = {"features": {"x": 1, "seconds": 0}}
# Made once: to make it takes longer than a request. The requests are plain HTTP and do not use it.
TLS = ssl.create_default_context()
PAGES = ("/", "/models/probe/", "/accounts/login/")


@dataclass
class Latencies:
    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


@dataclass
class Outcome:
    name: str
    count: int
    pages: Latencies
    api: Latencies
    processor: float
    megabytes: float
    attack: Mapping[str, Any]

    def held(self, limit: float = LIMIT_SECONDS) -> bool:
        """Whether no request of other clients failed, and 99 % of them were answered within `limit` seconds."""
        return all(one.failures == 0 and one.quantile(0.99) <= limit for one in (self.pages, self.api))


def trained(root: Path) -> Path:
    """Train the probe model, which the measured clients ask, in the folder `root`. Returns `root`."""
    from predictions.serving.training.register import train_and_register

    shutil.copytree(PROBE, root / "probe", ignore=shutil.ignore_patterns("__pycache__"))
    train_and_register(root, "probe")
    return root


def prepare(stack: Stack) -> None:
    """Write a file larger than all buffers between the server and a client that does not read.

    Call it before the web process starts.
    """
    file: Path = stack.var_dir / "staticfiles/siege.bin"
    file.write_bytes(b"\0" * LARGE_FILE_BYTES)


def run_all(stack: Stack, names: Sequence[str], seconds: float, share: float = 1.0) -> Iterator[Outcome]:
    """The outcome of each attack. The first outcome is without an attack, for comparison."""
    stack.wait_for_end([stack.submit("probe", FEATURES["features"])], 60)
    yield _outcome(stack, "none", 0, seconds)
    for name in names:
        yield _outcome(stack, name, max(1, int(ATTACKS[name][1] * share)), seconds)


def _outcome(stack: Stack, name: str, count: int, seconds: float) -> Outcome:
    with _attack(stack, name, count, seconds) as result:
        before = _processor_seconds(stack)
        pages, api = asyncio.run(_measure(str(stack.client.base_url), seconds))
        processor, megabytes = (_processor_seconds(stack) - before) / seconds, _megabytes(stack)
        return Outcome(name, count, pages, api, processor, megabytes, result())


@contextmanager
def _attack(stack: Stack, name: str, count: int, seconds: float) -> Iterator[Callable[[], Mapping[str, Any]]]:
    """An attack that has built up when the context begins.

    Yields a function that waits for the end of the attack and returns its result.
    """
    if not count:
        yield dict
        return
    command = [sys.executable, "-m", "tests.siege.attacks", name, stack.env["PORT"]]
    lasting = [str(seconds + LEAD_SECONDS + 1), str(count)]
    with subprocess.Popen([*command, *lasting], cwd=BASE_DIR, stdout=subprocess.PIPE) as attacker:
        try:
            time.sleep(LEAD_SECONDS)
            yield lambda: json.loads(attacker.communicate(timeout=seconds + 30)[0])
        finally:
            attacker.kill()  # no effect if it has ended


async def _measure(base_url: str, seconds: float) -> tuple[Latencies, Latencies]:
    pages, api = Latencies(), Latencies()
    end = time.monotonic() + seconds
    await asyncio.gather(
        *(_ask_until(end, pages, lambda n: _get(base_url, PAGES[n % len(PAGES)])) for _ in range(2)),
        *(_ask_until(end, api, lambda _: _predict(base_url)) for _ in range(2)),
    )
    return pages, api


async def _ask_until(end: float, latencies: Latencies, ask: Callable[[int], Awaitable[bool]]) -> None:
    number = 0
    while time.monotonic() < end:
        begin = time.monotonic()
        try:
            is_right = await ask(number)
        except httpx.HTTPError:
            is_right = False
        latencies.seconds.append(time.monotonic() - begin)
        latencies.failures += not is_right
        number += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def _get(base_url: str, path: str) -> bool:
    """Fetch a page over a new connection, as a new visitor does. False if the status is not 200."""
    async with httpx.AsyncClient(base_url=base_url, timeout=10.0, verify=TLS) as client:
        return (await client.get(path)).status_code == 200


async def _predict(base_url: str) -> bool:
    async with httpx.AsyncClient(base_url=base_url, timeout=10.0, verify=TLS) as client:
        reply = await client.post("/api/v1/models/probe/predictions/", json=FEATURES, headers={"Prefer": "wait=5"})
        return reply.status_code == 200


def _web(stack: Stack) -> list[psutil.Process]:
    web = stack["web"].process
    return [web, *web.children(recursive=True)]


def _processor_seconds(stack: Stack) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in _web(stack))


def _megabytes(stack: Stack) -> float:
    return sum(one.memory_full_info().pss for one in _web(stack)) / 1e6


def table(outcomes: Sequence[Outcome]) -> str:
    lines = [
        "| attack from one address | connections | ended by the server | longest held | pages p50 / p99"
        " | API p50 / p99 | failed | web: processor, memory | held |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in outcomes:
        failed = one.pages.failures + one.api.failures
        lines.append(
            f"| {one.name} | {one.count} | {one.attack.get('ended', 0)} | {one.attack.get('longest', 0)} s"
            f" | {_shown(one.pages)} | {_shown(one.api)} | {failed}"
            f" | {one.processor:.0%} of a core, {one.megabytes:.0f} MB | {'yes' if one.held() else 'NO'} |"
        )
    return "\n".join(lines)


def _shown(latencies: Latencies) -> str:
    return f"{latencies.quantile(0.5) * 1000:.0f} / {latencies.quantile(0.99) * 1000:.0f} ms"
