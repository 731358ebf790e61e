"""Shifts all clocks of a process but the monotonic one. Python imports this at start if its folder is on the path."""

import datetime
import os
import time

SHIFT = float(os.environ["CLOCK_SHIFT"])
_real, _time, _time_ns = datetime.datetime, time.time, time.time_ns


class _Kind(type):
    """Compiled code creates instances of the real class: isinstance must accept them."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _real)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, _real)


class _Skewed(_real, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return _real.now(tz) + datetime.timedelta(seconds=SHIFT)

    @classmethod
    def utcnow(cls) -> datetime.datetime:
        return _real.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=SHIFT)


time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + int(SHIFT * 1e9)
datetime.datetime = _Skewed  # type: ignore[misc]
