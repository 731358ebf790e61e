"""Opens a version after every check that serving demands. While serving, only this module unpickles.

A pickle is code. It is opened only if its bytes have the registered SHA-256. The same holds for modules that are stored
with a version. A version serves only if it reproduces its golden rows in this process.

A compiled version is served without its estimator, which is opened only when a row needs it. So this module imports
joblib and scikit-learn inside functions: a worker of compiled versions does without them.
"""

import io
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from predictions.serving.artifacts.manifest import Compiled, Manifest
from predictions.serving.artifacts.sureness import Sureness
from predictions.serving.engines.base import ABSOLUTE_TOLERANCE, Engine
from predictions.serving.engines.bundled_code import importable
from predictions.serving.engines.sureness import Assessor, open_assessor
from predictions.serving.engines.verify import check_golden, check_hash, check_libraries
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.schema.sentences import english

if TYPE_CHECKING:
    from predictions.serving.engines.sklearn import SklearnEngine


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a version. `estimator` is a function that reads the pickle; `code` has sources by relative path."""

    estimator: Callable[[], bytes]
    compiled: bytes | None = None
    code: Mapping[str, bytes] = field(default_factory=dict)
    sureness: bytes | None = None
    code_folder: Path = Path()


class Pickled:
    """The estimator of a version, opened when it is first needed."""

    def __init__(self, manifest: Manifest, files: Files) -> None:
        self._manifest = manifest
        self._files = files
        self._lock = threading.Lock()
        self._engine: SklearnEngine | None = None

    def open(self) -> "SklearnEngine":
        """The engine of the estimator. Raises ModelUnavailable, or the error of reading the file."""
        with self._lock:
            if self._engine is None:
                self._engine = _open_estimator(self._manifest, self._files)
            return self._engine

    @property
    def is_open(self) -> bool:
        return self._engine is not None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that has reproduced its golden rows in this process, and the engine that predicts for it."""

    manifest: Manifest
    engine: Engine = field(repr=False)
    pickled: Pickled = field(repr=False)
    compiled_size: int = 0
    assessor: Assessor | None = field(default=None, repr=False)

    @property
    def estimator(self) -> Any:
        """The scikit-learn object. Raises ModelUnavailable."""
        return self.pickled.open().estimator

    @property
    def size(self) -> int:
        """The memory in bytes, as registration measured it; for a version without that, the size of the open files."""
        manifest, memory = self.manifest, self.manifest.memory
        arrays = manifest.sureness.bytes if manifest.sureness else 0
        if memory is None:
            return self.compiled_size + arrays + (manifest.bytes if self.pickled.is_open else 0)
        if manifest.compiled and not self.compiled_size:
            return memory.estimator + arrays
        return memory.serving + (memory.estimator if self.pickled.is_open else 0)


def limit_threads() -> None:
    """One thread for BLAS and OpenMP in this process, since processes are the parallelism.

    It affects only libraries that are loaded already, so it is called again after each estimator was opened.
    """
    threadpool_limits(1)


def open_version(manifest: Manifest, files: Files) -> Loaded:
    """Opens a version after every check, in its compiled form if the files have one.

    Raises ModelUnavailable, or what reading the estimator raises.
    """
    check_libraries(manifest)
    for path, sha256 in manifest.code.items():
        check_hash(sha256, files.code[path], f"module {path}")
    assessor = read_assessor(manifest.sureness, files.sureness)
    pickled = Pickled(manifest, files)
    if files.compiled is None or manifest.compiled is None:
        engine: Engine = pickled.open()
        check_golden(manifest, engine, ABSOLUTE_TOLERANCE)
        return Loaded(manifest, engine, pickled, assessor=assessor)
    # The estimator may be needed later. Its file is checked now, so that an incomplete version does not serve.
    check_hash(manifest.sha256, files.estimator())
    engine = _open_compiled(manifest, manifest.compiled, files.compiled, pickled.open)
    check_golden(manifest, engine, manifest.compiled.tolerance)
    return Loaded(manifest, engine, pickled, len(files.compiled), assessor)


def read_assessor(record: Sureness | None, content: bytes | None) -> Assessor | None:
    """The assessor of a version, or None where registration could not make one. Raises ModelUnavailable."""
    if record is None or record.sha256 is None or content is None:
        return None
    check_hash(record.sha256, content, "file sureness.npz")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    limit_threads()  # the assessor multiplies matrices, for compiled versions too
    return open_assessor(arrays)


def _open_estimator(manifest: Manifest, files: Files) -> "SklearnEngine":
    from predictions.serving.engines.sklearn import SklearnEngine, use_one_job  # noqa: PLC0415  # scikit-learn, when it is needed

    content = files.estimator()
    check_hash(manifest.sha256, content)
    with importable(files.code, files.code_folder):
        estimator = _unpickle(content)
    limit_threads()
    use_one_job(estimator)
    targets = [one.classes for one in manifest.targets]
    return SklearnEngine(
        estimator, manifest.signature, list(manifest.classes), manifest.input_schema, manifest.batching, targets
    )


def _open_compiled(manifest: Manifest, record: Compiled, content: bytes, estimator: Callable[[], Engine]) -> Engine:
    from predictions.serving.engines.onnx import OnnxEngine, open_session  # noqa: PLC0415  # ONNX Runtime, when it is needed

    check_hash(record.sha256, content, "compiled estimator")
    try:
        session = open_session(content)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ModelUnavailable(
            english(
                "The compiled estimator cannot be opened; the log says why. INFERENCE_ENGINE=sklearn serves without it."
            )
        ) from error
    return OnnxEngine(
        session,
        manifest.signature,
        list(manifest.classes),
        record.layout,
        record.float_type,
        manifest.golden.probabilities is not None,
        record.tie_margin,
        estimator,
    )


def _unpickle(content: bytes) -> Any:
    import joblib  # noqa: PLC0415  # with scikit-learn, when it is needed
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415

    # The filter stays: filters belong to the whole process, so resetting it in one thread would reset it in others.
    warnings.simplefilter("error", InconsistentVersionWarning)
    try:
        return joblib.load(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception as error:  # a pickle may raise anything
        raise ModelUnavailable(
            english(
                "The estimator cannot be opened; the log says why. Install what it imports, or train a new version."
            )
        ) from error
