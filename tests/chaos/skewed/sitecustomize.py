"""Python imports this at its start where this folder is on the path: all clocks of the process go wrong, except the
monotonic one."""

import datetime
import os
import time

SHIFT = float(os.environ["CLOCK_SHIFT"])
_real, _time, _time_ns = datetime.datetime, time.time, time.time_ns


class _Kind(type):
    """What compiled code makes is of the real class, and counts."""

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
