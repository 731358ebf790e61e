"""An estimator whose every answer is known, and which can be told to misbehave by a row."""

import os
import resource
import signal
import time
from typing import Any, Self

import numpy as np
import psutil
from sklearn.base import BaseEstimator, RegressorMixin

RAISE, CRASH, HANG, ABORT, EAT = 1_000_001.0, 1_000_002.0, 1_000_003.0, 1_000_004.0, 1_000_005.0
# What a row may take that eats memory before there is none, in bytes.
MEALS, MEAL = 8, 32_000_000


class Probe(RegressorMixin, BaseEstimator):
    """Answers 2x + 1 for the first feature, after as many seconds as the slowest row says in the second."""

    def fit(self, x: Any, y: Any) -> Self:
        self.n_features_in_ = np.asarray(x).shape[1]
        return self

    def predict(self, x: Any) -> Any:
        numbers, seconds = np.asarray(x, dtype=np.float64).T
        time.sleep(seconds.max())
        if RAISE in numbers:
            raise ValueError("this row cannot be answered")
        if CRASH in numbers:  # as the kernel ends a process that takes too much memory
            os.kill(os.getpid(), signal.SIGKILL)
        if ABORT in numbers:  # as compiled code gives up
            os.abort()
        if EAT in numbers:
            eat()
        if HANG in numbers:  # as compiled code hangs: no Python signal handler runs
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(3600)
        return 2 * numbers + 1


class Tripled(Probe):
    """Somebody else's: other answers to the same rows."""

    def predict(self, x: Any) -> Any:
        return 3 * np.asarray(x, dtype=np.float64)[:, 0]


def eat() -> None:
    """Take more and more memory until there is none: a limit of our own, so that the machine keeps some."""
    held = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEALS * MEAL, held[1]))
    try:
        eaten = []
        while True:
            eaten.append(np.ones(MEAL // 8))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, held)
