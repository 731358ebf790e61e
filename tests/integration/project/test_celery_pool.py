"""Celery's pool: a child that is killed while it exits does not block its parent."""

import multiprocessing
import os
import signal
from typing import Any

from billiard.context import ForkContext

from project.celery import app
from project.celery_pool import Child, TaskPool

SECONDS = 20


def test_worker_uses_the_patched_pool() -> None:
    assert app.conf.worker_pool == "project.celery_pool:TaskPool"
    assert TaskPool.Pool.Worker is Child


def test_exiting_child_does_not_take_the_lock_of_its_parent() -> None:
    shared: Any = ForkContext().Value("i")

    def leave() -> None:
        signal.alarm(SECONDS)
        child = Child.__new__(Child)
        child.inq = child.outq = object()
        child.initializer, child.sigprotection = None, False
        child.on_ready_counter = shared
        child.after_fork()
        os._exit(0 if child._ensure_messages_consumed(completed=3) else 1)

    with shared.get_lock():
        shared.value = 3
        process = multiprocessing.get_context("fork").Process(target=leave)
        process.start()
        process.join(SECONDS * 2)

    assert process.exitcode == 0
