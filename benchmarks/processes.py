"""Starts and stops the processes of a service, and measures their memory."""

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

END_SECONDS = 10.0


class Processes:
    """The processes of one service. Each is the leader of its own session; its children belong to it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._env = env
        self._leaders: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, command: Sequence[str] | str, cwd: Path) -> None:
        """Start a command; a string is run by a shell. The output goes to `<name>.log`."""
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, shell=isinstance(command, str), cwd=cwd, env=self._env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._leaders.append(process)

    def all_alive(self) -> bool:
        return all(process.poll() is None for process in self._leaders)

    def tree(self) -> list[psutil.Process]:
        """The leaders and all their current descendants."""
        found = []
        for process in self._leaders:
            with contextlib.suppress(psutil.NoSuchProcess):
                leader = psutil.Process(process.pid)
                found += [leader, *leader.children(recursive=True)]
        return found

    def pss_megabytes(self) -> float:
        """The proportional set size (PSS, Linux) of all processes: shared pages count once."""
        kilobytes = 0
        for process in self.tree():
            with contextlib.suppress(OSError):
                kilobytes += _pss(Path(f"/proc/{process.pid}/smaps_rollup").read_text())
        return kilobytes / 1024

    def stop(self) -> None:
        """Send SIGTERM to the leaders, and SIGKILL to processes that are left after END_SECONDS."""
        tree = self.tree()
        for process in self._leaders:
            if process.poll() is None:
                process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=END_SECONDS)
        for survivor in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                survivor.kill()
        for process in self._leaders:
            process.wait()
        self._leaders.clear()


def _pss(rollup: str) -> int:
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
