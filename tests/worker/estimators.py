"""An estimator with known answers. Special values make it fail, crash, hang or exhaust its memory."""

import os
import resource
import signal
import time
from typing import Any, Self

import numpy as np
import psutil
from sklearn.base import BaseEstimator, RegressorMixin

RAISE, CRASH, HANG, ABORT, EXHAUST = 1_000_001.0, 1_000_002.0, 1_000_003.0, 1_000_004.0, 1_000_005.0
# EXHAUST may allocate this much memory before the limit: so little that it ends long before the time limit of a call.
BLOCKS, BLOCK_BYTES = 4, 4_000_000


class Probe(RegressorMixin, BaseEstimator):
    """Answers 2x + 1 for the first feature. The second feature is the duration of the predict call in seconds."""

    def fit(self, x: Any, y: Any) -> Self:
        self.n_features_in_ = np.asarray(x).shape[1]
        return self

    def predict(self, x: Any) -> Any:
        numbers, seconds = np.asarray(x, dtype=np.float64).T
        time.sleep(max(seconds.max(), 0.0))
        if RAISE in numbers:
            raise ValueError("this row cannot be answered")
        if CRASH in numbers:  # like the kernel if memory runs out
            os.kill(os.getpid(), signal.SIGKILL)
        if ABORT in numbers:  # like an assertion in compiled code
            os.abort()
        if EXHAUST in numbers:
            exhaust_memory()
        if HANG in numbers:  # like compiled code: no Python signal handler runs
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(3600)
        return 2 * numbers + 1


class Tripled(Probe):
    """Another estimator, with other answers to the same rows."""

    def predict(self, x: Any) -> Any:
        return 3 * np.asarray(x, dtype=np.float64)[:, 0]


def exhaust_memory() -> None:
    """Allocate memory until a MemoryError. A limit of this process keeps memory free for the machine."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + BLOCKS * BLOCK_BYTES, limits[1]))
    try:
        blocks = []
        while True:
            blocks.append(np.ones(BLOCK_BYTES // 8))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
