"""Group commit: what many requests want to write at one time is written in one transaction.

Whoever comes while nobody commits, commits at once, in its own thread and with its own connection. Whoever comes
meanwhile waits; the first of them leads the next commit, for all that have gathered. So a lone item pays nothing, and
under load the transactions grow instead of the queue for the write lock.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Entry(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item
        self.woken = threading.Event()
        self.finished = False
        self.error: Exception | None = None

    def finish(self, error: Exception | None = None) -> None:
        self.error = error
        self.finished = True
        self.woken.set()


class GroupCommit(Generic[T]):
    """Writes items through `commit`, many at a time.

    Args:
        commit: writes all its items in one transaction, or raises and has written none.
        fatal: errors of `commit` that speak of the database, not of an item: all who wait get them at once, so that
            nobody waits longer than one commit may last.
        most: items in one transaction, at most.
    """

    def __init__(
        self, commit: Callable[[Sequence[T]], None], fatal: tuple[type[Exception], ...], most: int = 256
    ) -> None:
        self._commit = commit
        self._fatal = fatal
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[_Entry[T]] = []
        self._is_led = False

    def submit(self, item: T) -> None:
        """Return when `item` is committed; raise what kept it from that."""
        [error] = self.submit_each([item])
        if error:
            raise error

    def submit_each(self, items: Sequence[T]) -> list[Exception | None]:
        """Return when of each item is known what kept it from being committed, if anything did."""
        entries = [_Entry(item) for item in items]
        for entry in self._enter(entries):
            if not entry.finished:
                entry.woken.wait()
            if not entry.finished:
                self._lead()
        return [entry.error for entry in entries]

    def _enter(self, entries: list[_Entry[T]]) -> list[_Entry[T]]:
        with self._lock:
            self._waiting += entries
            if entries and not self._is_led:
                self._is_led = True
                entries[0].woken.set()
        return entries

    def _lead(self) -> None:
        """Commit what has gathered, then let the first of those who came meanwhile lead."""
        with self._lock:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            self._write(batch)
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                heir = self._waiting[0] if self._waiting else None
            if heir:
                heir.woken.set()

    def _write(self, batch: list[_Entry[T]], part_of: list[_Entry[T]] | None = None) -> None:
        try:
            self._commit([entry.item for entry in batch])
        except self._fatal as error:
            self._give_up(part_of or batch, error)
        except Exception as error:  # noqa: BLE001 - handed to whoever submitted the item
            if len(batch) == 1:
                batch[0].finish(error)
            else:  # one bad item fails alone
                for entry in batch:
                    if not entry.finished:
                        self._write([entry], part_of=batch)
        else:
            for entry in batch:
                entry.finish()

    def _give_up(self, batch: list[_Entry[T]], error: Exception) -> None:
        with self._lock:
            others, self._waiting = self._waiting, []
        for entry in [*batch, *others]:
            if not entry.finished:
                entry.finish(error)
