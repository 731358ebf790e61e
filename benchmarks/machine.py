"""Describes the machine, and measures its current speed."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import psutil

# Fixed work in pure Python; prints the mean time in milliseconds. It is long enough to be preempted on a busy machine.
CALIBRATION = """
import json, time
start = time.perf_counter()
for _ in range(60):
    json.loads(json.dumps([number * 1.1 for number in range(20_000)]))
print((time.perf_counter() - start) * 1000 / 60)
"""


def calibration() -> float:
    """Milliseconds of the fixed work, run on all cores at once.

    Shared machines drift: only loads with similar calibrations can be compared.
    """
    command = [sys.executable, "-c", CALIBRATION]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(os.cpu_count() or 1)]
    return mean(float(run.communicate(timeout=60)[0]) for run in runs)


def describe(folder: Path) -> dict[str, Any]:
    """`folder` holds the databases: its disk limits the speed of commits."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _file_system(folder: Path) -> str:
    above = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(above, key=lambda part: len(part.mountpoint)).fstype if above else "unknown"


def revision(folder: Path) -> str:
    """The measured commit, marked `-dirty` if files differ from it; empty outside a git checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
