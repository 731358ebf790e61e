"""Clients: a few threads with keep-alive connections that submit rows at a steady rate."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from types import TracebackType

import httpx

from tests.chaos.ledger import Ledger, Submission

# Longer than the limit of each scenario: after this time there is no response.
TIMEOUT = 30.0
PAUSE_AFTER_REFUSAL = 0.3
# After the end of the load, refused rows are submitted again for up to this time.
FINAL_RETRY_SECONDS = 20.0


class Client:
    """Submits one row at a time, and records the responses."""

    def __init__(self, base_url: str, ledger: Ledger) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT)
        self._ledger = ledger

    def submit(self, number: int, row: Submission, seconds: float = 0.0, model: str = "probe") -> bool:
        """True if the row was accepted."""
        self._ledger.submitted[number] = row
        start = time.monotonic()
        try:
            response = self._http.post(
                f"/api/v1/models/{model}/predictions/",
                json={"features": row.features or {"x": row.x, "seconds": seconds}},
                headers={"Idempotency-Key": key(number)},
            )
        except httpx.TransportError as error:
            self._ledger.record_no_response(time.monotonic() - start, error)
            return False
        return self._ledger.record(number, response, time.monotonic() - start)

    def close(self) -> None:
        self._http.close()


def key(number: int) -> str:
    """The Idempotency-Key of a row. Keys sort like their numbers."""
    return f"{number:012d}"


def stored_key(number: int) -> str:
    """The key as the database stores it."""
    return f"api:{key(number)}"


class Load:
    """A context in which clients submit `rate` rows per second. If `insists`, refused rows are submitted again."""

    def __init__(
        self,
        base_url: str,
        ledger: Ledger,
        numbers: Iterator[int],
        rate: float,
        seconds: float,
        threads: int = 6,
        insists: bool = True,
        on_accepted: Callable[[], object] | None = None,
    ) -> None:
        self._base_url = base_url
        self._ledger = ledger
        self._numbers = numbers
        self._rate = rate
        self._seconds = seconds
        self._insists = insists
        self._on_accepted = on_accepted
        self._turns = count()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads if rate else 0)]

    def __enter__(self) -> "Load":
        self._started_at = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with closing(Client(self._base_url, self._ledger)) as client:
            while not self._stopped.is_set():
                turn = self._started_at + next(self._turns) / self._rate
                if self._stopped.wait(max(turn - time.monotonic(), 0)):
                    break
                self._submit(client)

    def _submit(self, client: Client) -> None:
        number = next(self._numbers)
        give_up_at = None
        while not client.submit(number, Submission(number), self._seconds):
            if not self._insists:
                return
            if self._stopped.is_set():
                give_up_at = give_up_at or time.monotonic() + FINAL_RETRY_SECONDS
                if time.monotonic() > give_up_at:
                    return
            time.sleep(PAUSE_AFTER_REFUSAL)
        if self._on_accepted:
            self._on_accepted()
