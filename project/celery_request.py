"""Celery's request, which represents a message in the worker, changed so that no message can block a slot of the pool.

Replaces celery.worker.request.Request by the documented attribute `Task.Request`. A worker counts a slot of its pool
as taken before it reads some parts of a message. If reading them raises an error, the slot is not released. After as
many such messages as there are slots, the worker executes nothing.
"""

from typing import Any

from celery import Task
from celery.exceptions import InvalidTaskError
from celery.worker import request


class Request(request.Request):  # type: ignore[misc]  # Celery has no types
    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options)
        if not isinstance(self.id, str):
            raise InvalidTaskError("the id of a message is no text")

    @property
    def time_limits(self) -> tuple[None, None]:
        """Always None: a message cannot change the limits of the settings, which end a predict call that hangs."""
        return None, None

    @time_limits.setter
    def time_limits(self, value: object) -> None:
        """The message's own limits are ignored."""


class GuardedTask(Task):  # type: ignore[misc]
    Request = Request
