"""Versions in memory, and the only file that unpickles.

A pickle is code. It is opened only when its bytes have the SHA-256 that was registered, and a version serves only when
it reproduces its golden rows on this machine. Everything else is ModelUnavailable with a reason for analysts.

A compiled version is served without its estimator, which is opened when a row needs it and not before. So joblib and
scikit-learn are imported inside functions here: a worker of compiled versions never pays for them.
"""

import gc
import io
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.repository import Compiled, Manifest
from predictions.serving.artifacts.sureness import ARRAYS, Sureness
from predictions.serving.engines.base import ABSOLUTE_TOLERANCE, Engine
from predictions.serving.engines.sureness import Assessor, open_assessor
from predictions.serving.engines.verify import check_golden, check_hash, check_libraries
from predictions.serving.schema.errors import ModelUnavailable

if TYPE_CHECKING:
    from predictions.serving.engines.sklearn import SklearnEngine

# Long enough that a broken version does not cost a load per prediction, short enough that a repair is noticed.
FAILURE_REMEMBERED_SECONDS = 30.0

Key: TypeAlias = tuple[str, int, str]


class Pickled:
    """The estimator of a version, opened when it is first asked for."""

    def __init__(self, manifest: Manifest, read: Callable[[], bytes]) -> None:
        self._manifest = manifest
        self._read = read
        self._lock = threading.Lock()
        self._oracle: SklearnEngine | None = None

    def open(self) -> "SklearnEngine":
        """Raises ModelUnavailable, or what reading raises."""
        with self._lock:
            if self._oracle is None:
                self._oracle = _open_estimator(self._manifest, self._read())
            return self._oracle

    @property
    def size(self) -> int:
        return self._manifest.bytes if self._oracle else 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that has proved itself here, and what answers for it."""

    manifest: Manifest
    oracle: Engine = field(repr=False)
    pickled: Pickled = field(repr=False)
    compiled_size: int = 0
    assessor: Assessor | None = field(default=None, repr=False)

    @property
    def estimator(self) -> Any:
        """The scikit-learn object. Raises ModelUnavailable."""
        return self.pickled.open().estimator

    @property
    def size(self) -> int:
        """That of the files which are held open, in bytes."""
        sureness = self.manifest.sureness
        return self.compiled_size + self.pickled.size + (sureness.bytes if sureness else 0)


@dataclass(slots=True)
class _Failure:
    reason: str
    until: float


class Loader:
    """A least-recently-used cache of `budget_bytes` per process, safe for threads.

    However many threads ask for a version, it is loaded once, and other versions are not held up. A version
    larger than the whole budget is served too, and then kept alone.
    """

    def __init__(
        self,
        root: Path,
        budget_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        use_compiled: bool = True,
    ) -> None:
        self._root = root
        self._budget = budget_bytes
        self._clock = clock
        self._use_compiled = use_compiled
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Loaded] = OrderedDict()
        self._loading: dict[Key, Future[Loaded]] = {}
        self._failed: dict[Key, _Failure] = {}

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
            # Each thread raises an error of its own: one that is shared would gather everybody's tracebacks.
            raise ModelUnavailable(error.reason) from None

    def release(self) -> None:
        """Drops every estimator, and what is remembered of failures, and gives the memory back."""
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
        before = len(self._kept)
        while len(self._kept) > 1 and self._total() > self._budget:
            self._kept.popitem(last=False)
        return len(self._kept) < before

    def _total(self) -> int:
        return sum(loaded.size for loaded in self._kept.values())


def limit_threads() -> None:
    """One thread for BLAS and OpenMP in this process, since processes are the parallelism.

    Reaches only libraries that are loaded already, so it is called again after each estimator was opened.
    """
    threadpool_limits(1)


def open_version(
    manifest: Manifest, read: Callable[[], bytes], compiled: bytes | None = None, sureness: bytes | None = None
) -> Loaded:
    """A version from the bytes of its estimator, after every check that serving demands.

    It is served as compiled if that is given. Raises ModelUnavailable, or what `read` raises.
    """
    check_libraries(manifest)
    assessor = read_assessor(manifest.sureness, sureness)
    pickled = Pickled(manifest, read)
    if compiled is None or manifest.compiled is None:
        oracle = pickled.open()
        check_golden(manifest, oracle, ABSOLUTE_TOLERANCE)
        return Loaded(manifest, oracle, pickled, assessor=assessor)
    # What may be asked for later is looked at now: a version is whole, or it does not serve.
    check_hash(manifest.sha256, read())
    engine = _open_compiled(manifest, manifest.compiled, compiled, pickled.open)
    check_golden(manifest, engine, manifest.compiled.tolerance)
    return Loaded(manifest, engine, pickled, len(compiled), assessor)


def read_assessor(record: Sureness | None, content: bytes | None) -> Assessor | None:
    """The assessor of a version, or None where registration could not make one. Raises ModelUnavailable."""
    if record is None or record.sha256 is None or content is None:
        return None
    check_hash(record.sha256, content, "file sureness.npz")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    limit_threads()  # it multiplies matrices, for compiled versions too
    return open_assessor(arrays)


def _read(root: Path, name: str, number: int, sha256: str, *, use_compiled: bool) -> Loaded:
    try:
        manifest = repository.manifest(root, name, number)
        if manifest.sha256 != sha256:
            raise ModelUnavailable(
                f"{repository.MANIFEST} of {name} version {number} names SHA-256 {manifest.sha256}, "
                f"registered is {sha256}."
            )
        find = partial(repository.artefact, root, name, number)
        compiled = find(repository.COMPILED).read_bytes() if use_compiled and manifest.compiled else None
        has_arrays = manifest.sureness is not None and manifest.sureness.sha256 is not None
        arrays = find(ARRAYS).read_bytes() if has_arrays else None
        return open_version(manifest, find().read_bytes, compiled, arrays)
    except (LookupError, OSError) as error:
        raise ModelUnavailable(
            f"Version {number} of {name} cannot be read here; the log says why. Run manage.py train {name}, "
            f"or bring its folder to this machine."
        ) from error
    except repository.BrokenFile as error:
        raise ModelUnavailable(
            f"{error.path.name} of {name} version {number} is broken: {'; '.join(error.problems)}"
        ) from error


def _open_estimator(manifest: Manifest, content: bytes) -> "SklearnEngine":
    from predictions.serving.engines.sklearn import SklearnEngine, use_one_job  # noqa: PLC0415  # scikit-learn, when it is needed

    check_hash(manifest.sha256, content)
    estimator = _unpickle(content)
    limit_threads()
    use_one_job(estimator)
    return SklearnEngine(estimator, manifest.signature, list(manifest.classes), manifest.input)


def _open_compiled(manifest: Manifest, record: Compiled, content: bytes, estimator: Callable[[], Engine]) -> Engine:
    from predictions.serving.engines.onnx import OnnxEngine, open_session  # noqa: PLC0415  # likewise ONNX Runtime

    check_hash(record.sha256, content, "compiled estimator")
    try:
        session = open_session(content)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ModelUnavailable(
            "The compiled estimator cannot be opened; the log says why. INFERENCE_ENGINE=sklearn serves without it."
        ) from error
    return OnnxEngine(
        session,
        manifest.signature,
        list(manifest.classes),
        record.layout,
        record.number,
        manifest.golden.probabilities is not None,
        record.doubt,
        estimator,
    )


def _unpickle(content: bytes) -> Any:
    import joblib  # noqa: PLC0415  # with scikit-learn, when it is needed
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415

    # Not undone afterwards: filters belong to the whole process, and undoing one in a thread undoes another's.
    warnings.simplefilter("error", InconsistentVersionWarning)
    try:
        return joblib.load(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception as error:  # a pickle may raise anything
        raise ModelUnavailable(
            "The estimator cannot be opened; the log says why. Install what it imports, or train a new version."
        ) from error
