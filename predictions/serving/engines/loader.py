"""A cache of opened versions in memory."""

import gc
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import CODE, COMPILED, MANIFEST, Manifest
from predictions.serving.artifacts.sureness import ARRAYS
from predictions.serving.engines.opening import Files, Loaded, open_version
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.schema.sentences import english

# A failure is remembered so that a broken version does not cost a load per prediction, but a repair is noticed soon.
FAILURE_REMEMBERED_SECONDS = 30.0

Key: TypeAlias = tuple[str, int, str]


@dataclass(slots=True)
class _Failure:
    reason: str
    until: float


class Loader:
    """A least-recently-used cache of `budget_bytes` per process, safe for threads.

    If several threads request a version, it is loaded once, and other versions can be loaded meanwhile. A version
    larger than the whole budget is served too. It is then the only one in the cache.
    """

    def __init__(
        self,
        root: Path,
        budget_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        use_compiled: bool = True,
        bring: Callable[[Path, str, int], None] = lambda *_: None,
    ) -> None:
        """`bring` is called with (root, name, number) before a version is read. It may raise ModelUnavailable."""
        self._root = root
        self._budget = budget_bytes
        self._clock = clock
        self._use_compiled = use_compiled
        self._bring = bring
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Loaded] = OrderedDict()
        self._loading: dict[Key, Future[Loaded]] = {}
        self._failed: dict[Key, _Failure] = {}
        # Counters since this process began: versions that were opened, and versions that were dropped to make room.
        self.loads = 0
        self.evictions = 0

    def get(self, name: str, number: int, sha256: str) -> Loaded:
        """The version whose artefact has this registered SHA-256. Raises ModelUnavailable."""
        key = (name, number, sha256)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            self._raise_remembered(key)
            pending = self._loading.get(key)
            if pending is None:
                mine = self._loading[key] = Future[Loaded]()
        if pending is None:
            return self._load(key, mine)
        try:
            return pending.result()
        except ModelUnavailable as error:
            # Each thread raises its own error: a shared error would collect the tracebacks of all threads.
            raise ModelUnavailable(error.reason) from None

    def release(self) -> None:
        """Drops all versions and all remembered failures, and frees their memory."""
        with self._lock:
            was_empty = not self._kept
            self._kept.clear()
            self._failed.clear()
        if not was_empty:
            gc.collect()

    @property
    def size(self) -> int:
        """Bytes held at the moment."""
        with self._lock:
            return self._total()

    def _load(self, key: Key, mine: Future[Loaded]) -> Loaded:
        try:
            self._bring(self._root, *key[:2])
            loaded = _read(self._root, *key, use_compiled=self._use_compiled)
        except BaseException as error:
            with self._lock:
                if isinstance(error, ModelUnavailable):
                    until = self._clock() + FAILURE_REMEMBERED_SECONDS
                    self._failed[key] = _Failure(error.reason, until)
                del self._loading[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self._kept[key] = loaded
            self.loads += 1
            evicted = self._evict()
            del self._loading[key]
        mine.set_result(loaded)
        if evicted:
            gc.collect()
        return loaded

    def _raise_remembered(self, key: Key) -> None:
        failure = self._failed.get(key)
        if failure is None:
            return
        if self._clock() < failure.until:
            raise ModelUnavailable(failure.reason)
        del self._failed[key]

    def _evict(self) -> bool:
        before = self.evictions
        while len(self._kept) > 1 and self._total() > self._budget:
            self._kept.popitem(last=False)
            self.evictions += 1
        return self.evictions > before

    def _total(self) -> int:
        return sum(loaded.size for loaded in self._kept.values())


def _read(root: Path, name: str, number: int, sha256: str, *, use_compiled: bool) -> Loaded:
    try:
        manifest = repository.manifest(root, name, number)
        if manifest.sha256 != sha256:
            raise ModelUnavailable(
                english(
                    "{file} of {name} version {number} names SHA-256 {found}, registered is {sha256}.",
                    file=MANIFEST,
                    name=name,
                    number=number,
                    found=manifest.sha256,
                    sha256=sha256,
                )
            )
        return open_version(manifest, _files(root, manifest, use_compiled=use_compiled))
    except (LookupError, OSError) as error:
        raise ModelUnavailable(
            english(
                "Version {number} of {name} cannot be read here; the log says why. Run manage.py train {name}, or bring"
                " its folder to this machine.",
                number=number,
                name=name,
            )
        ) from error
    except repository.OutdatedVersion as error:
        reason = english(
            "Version {number} of {name} does not serve: {problem}.", number=number, name=name, problem=error.problems[0]
        )
        raise ModelUnavailable(reason) from error
    except repository.BrokenFile as error:
        raise ModelUnavailable(
            english(
                "{file} of {name} version {number} is broken: {problems}",
                file=error.path.name,
                name=name,
                number=number,
                problems="; ".join(error.problems),
            )
        ) from error


def _files(root: Path, manifest: Manifest, *, use_compiled: bool) -> Files:
    find = partial(repository.artefact, root, manifest.model, manifest.version)
    return Files(
        estimator=find().read_bytes,
        compiled=find(COMPILED).read_bytes() if use_compiled and manifest.compiled else None,
        sureness=find(ARRAYS).read_bytes() if manifest.sureness and manifest.sureness.sha256 else None,
        code={path: (find(CODE) / path).read_bytes() for path in manifest.code},
        code_folder=find(CODE),
    )
