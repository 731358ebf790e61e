"""An estimator whose every answer is known, and which can be told to misbehave by a row."""

import os
import signal
import time
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

RAISE, CRASH, HANG = 1_000_001.0, 1_000_002.0, 1_000_003.0


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
        if HANG in numbers:  # as compiled code hangs: no Python signal handler runs
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(3600)
        return 2 * numbers + 1
