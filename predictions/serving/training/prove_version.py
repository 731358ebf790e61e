"""Proves a stored version in a process like a worker's: `python -m predictions.serving.training.prove_version`.

The version is loaded as a worker loads it. It must predict the rows of a file, alone and together, as the training
process did. The verdict is written to another file as JSON: `reason` says why the version must not serve (empty if it
may), and `memory` is the memory that it takes.
"""

import ctypes
import gc
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import Golden, Manifest, Memory
from predictions.serving.engines.base import ABSOLUTE_TOLERANCE, Engine
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import Loaded, limit_threads
from predictions.serving.engines.verify import compare_arrangements, stored_answers
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.training.proof import said

PLENTY = 10**12


def prove(root: Path, name: str, number: int, rows: Path) -> tuple[str, Memory | None]:
    """The reason why the version must not serve (empty if it may), and the memory that it takes if it may."""
    limit_threads()
    manifest = repository.manifest(root, name, number)
    try:
        loaded = Loader(root, PLENTY).get(name, number, manifest.sha256)
        reason = _differences(loaded, Golden.model_validate(json.loads(rows.read_text())))
        return reason, None if reason else _memory(root, manifest)
    except ModelUnavailable as error:
        return f"{error.reason} ({said(error.__cause__)})" if error.__cause__ else error.reason, None
    except Exception as error:  # noqa: BLE001  # an estimator may raise anything
        return said(error), None


def _memory(root: Path, manifest: Manifest) -> Memory:
    """The growth of this process when the version is opened a second time, so that imports do not count.

    The result is at least the size of the files, since the allocator may have had free memory.
    """
    start = _resident()
    loaded = Loader(root, PLENTY).get(manifest.model, manifest.version, manifest.sha256)
    opened = _resident()
    serving = max(opened - start, loaded.size)
    if manifest.compiled is None:
        return Memory(serving=serving)
    loaded.pickled.open()
    return Memory(serving=serving, estimator=max(_resident() - opened, manifest.bytes))


def _resident() -> int:
    """The resident set of this process in bytes, without the allocator's free memory; 0 outside Linux."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _differences(loaded: Loaded, expected: Golden) -> str:
    manifest = loaded.manifest
    tolerance = manifest.compiled.tolerance if manifest.compiled else ABSOLUTE_TOLERANCE
    engines: list[tuple[Engine, float]] = [(loaded.pickled.open(), ABSOLUTE_TOLERANCE), (loaded.engine, tolerance)]
    return next((reason for engine, allowed in engines if (reason := _reason(engine, manifest, expected, allowed))), "")


def _reason(engine: Engine, manifest: Manifest, expected: Golden, tolerance: float) -> str:
    found = compare_arrangements(
        engine, expected.rows, stored_answers(expected), tolerance, batching=manifest.batching, alone=64
    )
    return "; ".join(f"{how}, {difference}" for how, difference in found[:3])


if __name__ == "__main__":
    root, name, number, rows, verdict = sys.argv[1:]
    reason, memory = prove(Path(root), name, int(number), Path(rows))
    Path(verdict).write_text(json.dumps({"reason": reason, "memory": memory and memory.model_dump()}))
