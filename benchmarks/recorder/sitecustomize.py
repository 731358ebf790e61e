"""Records the functions that a process calls. Python imports this module at start if its folder is on the path.

`benchmarks.path` writes a number other than 0 into the file `RECORD_EPOCH` to begin a recording, and 0 to end it.
During a recording each process writes one line `epoch process file function` for each called function of this
repository. CPython's `sys.setprofile` reports the calls; it sees every thread that starts after this import.
"""

import mmap
import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = os.environ["RECORD_ROOT"]
OWN = tuple(f"{ROOT}/{folder}/" for folder in ("predictions", "project"))
IS_WORKER = any("celery" in argument for argument in sys.orig_argv)

_file = Path(os.environ["RECORD_EPOCH"]).open("rb")  # noqa: SIM115 - stays open until the process ends
_epoch = mmap.mmap(_file.fileno(), 1, access=mmap.ACCESS_READ)
_seen: set[tuple[int, CodeType]] = set()


def record(frame: FrameType, event: str, argument: Any) -> None:
    epoch = _epoch[0]
    if not epoch or event != "call":
        return
    code = frame.f_code
    # Lambdas and generator expressions count as part of their function.
    if (epoch, code) in _seen or not code.co_filename.startswith(OWN) or code.co_name.startswith("<"):
        return
    _seen.add((epoch, code))
    name = f"{epoch} {'worker' if IS_WORKER else 'web'} {code.co_filename[len(ROOT) + 1 :]} {code.co_qualname}\n"
    log = os.open(os.environ["RECORD_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, name.encode())
    os.close(log)


sys.setprofile(record)
threading.setprofile(record)
