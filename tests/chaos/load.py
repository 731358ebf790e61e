"""Clients: a few threads with connections that they keep, asking at a steady rate."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from types import TracebackType

import httpx

from tests.chaos.ledger import Asked, Ledger

# Longer than any bound that a scenario sets: what takes as long is no answer at all.
TIMEOUT = 30.0
PAUSE_AFTER_REFUSAL = 0.3
# A row that was refused is asked again for so long after the load has ended.
LAST_WORD_SECONDS = 20.0


class Client:
    """Asks one row at a time, and writes down what it was told."""

    def __init__(self, base_url: str, ledger: Ledger) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT)
        self._ledger = ledger

    def ask(self, number: int, row: Asked, seconds: float = 0.0, model: str = "probe") -> bool:
        """True if the row was accepted."""
        self._ledger.asked[number] = row
        start = time.monotonic()
        try:
            response = self._http.post(
                f"/api/v1/models/{model}/predictions/",
                json={"features": {"x": row.x, "seconds": seconds}},
                headers={"Idempotency-Key": key(number)},
            )
        except httpx.TransportError as error:
            self._ledger.note_silence(time.monotonic() - start, error)
            return False
        return self._ledger.note(number, response, time.monotonic() - start)

    def close(self) -> None:
        self._http.close()


def key(number: int) -> str:
    """So that keys sort as numbers do."""
    return f"{number:012d}"


def kept_key(number: int) -> str:
    """As the row has it."""
    return f"api:{key(number)}"


class Load:
    """While it is entered, `rate` rows are asked for in a second; each until it is accepted, if it `insists`."""

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
        client = Client(self._base_url, self._ledger)
        while not self._stopped.is_set():
            turn = self._started_at + next(self._turns) / self._rate
            if self._stopped.wait(max(turn - time.monotonic(), 0)):
                break
            self._ask(client)
        client.close()

    def _ask(self, client: Client) -> None:
        number = next(self._numbers)
        give_up_at = None
        while not client.ask(number, Asked(number), self._seconds):
            if not self._insists:
                return
            if self._stopped.is_set():
                give_up_at = give_up_at or time.monotonic() + LAST_WORD_SECONDS
                if time.monotonic() > give_up_at:
                    return
            time.sleep(PAUSE_AFTER_REFUSAL)
        if self._on_accepted:
            self._on_accepted()
