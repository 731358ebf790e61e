import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from predictions.queue.group_commit import GroupCommit, _Entry

from tests.support.waiting import wait_until


class Gate:
    """A commit whose first call waits until the test lets it go on; `commit` then says what happens."""

    def __init__(self, commit: Callable[[Sequence[str]], None] = lambda items: None) -> None:
        self.written: list[list[str]] = []
        self.threads: set[int] = set()
        self._commit = commit
        self._entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self, items: Sequence[str]) -> None:
        self.threads.add(threading.get_ident())
        self._entered.set()
        assert self._opened.wait(10)
        self._commit(items)
        self.written.append(list(items))

    def open(self) -> None:
        self._opened.set()

    def gather(self, door: GroupCommit[str], pool: ThreadPoolExecutor, *items: str) -> list[Future[None]]:
        """Submit the first item, and the others, in order, while its commit waits."""
        submitted = [pool.submit(door.submit, items[0])]
        assert self._entered.wait(10)
        for count, item in enumerate(items[1:], start=1):
            submitted.append(pool.submit(door.submit, item))
            wait_until(lambda count=count: len(door._waiting) == count, 10, f"{item} waits")
        return submitted


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def errors(submitted: list[Future[None]]) -> list[BaseException | None]:
    return [future.exception(timeout=10) for future in submitted]


def test_lone_item_is_committed_by_its_own_thread() -> None:
    gate = Gate()
    gate.open()
    door = GroupCommit[str](gate, fatal=())
    door.submit("a")
    door.submit("b")
    assert gate.written == [["a"], ["b"]]
    assert gate.threads == {threading.get_ident()}


def test_items_that_come_during_a_commit_share_the_next(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    submitted = gate.gather(GroupCommit[str](gate, fatal=()), pool, "a", "b", "c", "d")
    gate.open()
    assert errors(submitted) == [None] * 4
    assert gate.written == [["a"], ["b", "c", "d"]]


def test_commit_takes_no_more_than_the_most(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    submitted = gate.gather(GroupCommit[str](gate, fatal=(), most=2), pool, "a", "b", "c", "d", "e", "f")
    gate.open()
    assert errors(submitted) == [None] * 6
    assert gate.written == [["a"], ["b", "c"], ["d", "e"], ["f"]]


def test_bad_item_fails_alone(pool: ThreadPoolExecutor) -> None:
    def refuse_c(items: Sequence[str]) -> None:
        if "c" in items:
            raise ValueError("c")

    gate = Gate(refuse_c)
    submitted = gate.gather(GroupCommit[str](gate, fatal=()), pool, "a", "b", "c", "d")
    gate.open()
    assert [repr(error) for error in errors(submitted)] == ["None", "None", "ValueError('c')", "None"]
    assert gate.written == [["a"], ["b"], ["d"]]


def test_database_that_is_away_is_asked_once_for_all_who_wait(pool: ThreadPoolExecutor) -> None:
    asked: list[Sequence[str]] = []

    def away(items: Sequence[str]) -> None:
        asked.append(items)
        raise ConnectionError

    gate = Gate(away)
    submitted = gate.gather(GroupCommit[str](gate, fatal=(ConnectionError,)), pool, "a", "b", "c")
    gate.open()
    assert [type(error) for error in errors(submitted)] == [ConnectionError] * 3
    assert asked == [["a"]]


def test_door_works_again_after_the_database_was_away() -> None:
    failures = [ConnectionError()]
    written: list[str] = []

    def commit(items: Sequence[str]) -> None:
        if failures:
            raise failures.pop()
        written.extend(items)

    door = GroupCommit[str](commit, fatal=(ConnectionError,))
    with pytest.raises(ConnectionError):
        door.submit("a")
    door.submit("b")
    assert written == ["b"]


def test_many_threads_lose_and_double_nothing(pool: ThreadPoolExecutor) -> None:
    written: list[int] = []
    door = GroupCommit[int](written.extend, fatal=(), most=7)
    list(pool.map(door.submit, range(2000)))
    assert sorted(written) == list(range(2000))


def test_database_that_goes_away_between_single_items_ends_all_waits() -> None:
    """After a batch failed for one of its items, they are tried one by one: but not against a database that is gone."""
    tried: list[list[int]] = []

    def commit(items: Sequence[int]) -> None:
        tried.append(list(items))
        raise ValueError if len(items) > 1 else ConnectionError

    door = GroupCommit[int](commit, fatal=(ConnectionError,))
    entries = [_Entry(number) for number in range(3)]

    door._write(entries)

    assert tried == [[0, 1, 2], [0]]
    assert [type(entry.error) for entry in entries] == [ConnectionError] * 3


# --- Several items of one thread --------------------------------------------------------------------------------------
def test_items_of_one_thread_are_committed_together() -> None:
    written: list[list[str]] = []
    door = GroupCommit[str](lambda items: written.append(list(items)), fatal=())

    assert door.submit_each(["a", "b", "c"]) == [None] * 3
    assert door.submit_each([]) == []
    assert written == [["a", "b", "c"]]


def test_bad_item_among_those_of_one_thread_fails_alone() -> None:
    written: list[str] = []

    def commit(items: Sequence[str]) -> None:
        if "b" in items:
            raise ValueError("b")
        written.extend(items)

    door = GroupCommit[str](commit, fatal=())

    assert [repr(error) for error in door.submit_each(["a", "b", "c"])] == ["None", "ValueError('b')", "None"]
    assert written == ["a", "c"]


def test_database_that_is_away_is_asked_once_for_all_items_of_a_thread() -> None:
    asked: list[list[str]] = []

    def commit(items: Sequence[str]) -> None:
        asked.append(list(items))
        raise ConnectionError

    door = GroupCommit[str](commit, fatal=(ConnectionError,), most=2)

    assert [type(error) for error in door.submit_each(["a", "b", "c"])] == [ConnectionError] * 3
    assert asked == [["a", "b"]]


def test_thread_commits_more_items_than_the_most() -> None:
    written: list[list[int]] = []
    door = GroupCommit[int](lambda items: written.append(list(items)), fatal=(), most=2)

    assert door.submit_each(range(5)) == [None] * 5
    assert written == [[0, 1], [2, 3], [4]]


def test_items_of_others_that_come_during_a_commit_share_the_next(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    door = GroupCommit[str](gate, fatal=())
    submitted = gate.gather(door, pool, "a", "b")
    several = pool.submit(door.submit_each, ["c", "d"])
    wait_until(lambda: len(door._waiting) == 3, 10, "c and d wait")
    gate.open()

    assert several.result(timeout=10) == [None, None]
    assert errors(submitted) == [None, None]
    assert gate.written == [["a"], ["b", "c", "d"]]


@pytest.mark.parametrize("most", [1, 3, 7, 256])
def test_many_threads_with_several_items_each_lose_and_double_nothing(pool: ThreadPoolExecutor, most: int) -> None:
    """And each hears of its own: every seventh item is bad. Nobody commits while another does."""
    written: list[int] = []
    under_way = threading.Lock()

    def commit(items: Sequence[int]) -> None:
        assert under_way.acquire(blocking=False)
        try:
            write(items)
        finally:
            under_way.release()

    def write(items: Sequence[int]) -> None:
        if any(item % 7 == 0 for item in items):
            raise ValueError
        written.extend(items)

    door = GroupCommit[int](commit, fatal=(), most=most)
    lots = [range(start, start + 5) for start in range(0, 1000, 5)]
    submitted = [pool.submit(door.submit_each, lot) for lot in lots]

    heard = [future.result(timeout=30) for future in submitted]
    assert [[error is None for error in lot] for lot in heard] == [[item % 7 != 0 for item in lot] for lot in lots]
    assert sorted(written) == [item for item in range(1000) if item % 7]
    assert (door._waiting, door._is_led) == ([], False)
