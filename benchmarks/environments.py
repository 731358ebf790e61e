"""python -m benchmarks.environments [NAME…]: make the virtual environments of the peers below $BENCH_VENVS."""

import argparse
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.services.registry import PEERS

# The packages that peers need in the versions of this environment, because an estimator is pickled with these versions.
SAME = ("scikit-learn", "numpy")


def requirements(name: str) -> list[str]:
    """The packages of all peers that share this environment, and the bounds of their versions."""
    peers = [peer for peer in PEERS if peer.venv == name]
    packages = dict.fromkeys(package for peer in peers for package in peer.packages)
    constraints = dict.fromkeys(bound for peer in peers for bound in peer.constraints)
    return [*(f"{package}=={version(package)}" if package in SAME else package for package in packages), *constraints]


def create(folder: Path, name: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    install = [str(folder / name / "bin/python"), "-m", "pip", "install", "--quiet", *requirements(name)]
    subprocess.run(install, check=True)


def main() -> int:
    names = sorted({peer.venv for peer in PEERS})
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"environments, of: {', '.join(names)} (all)")
    asked = parser.parse_args().names or names
    if unknown := set(asked) - set(names):
        parser.error(f"unknown environment: {', '.join(unknown)}; choose from {', '.join(names)}")
    if "BENCH_VENVS" not in os.environ:
        parser.error("set BENCH_VENVS to the folder for the environments, for example: BENCH_VENVS=~/bench-venvs")
    for name in asked:
        print(f"{name}: {', '.join(requirements(name))}", flush=True)
        create(Path(os.environ["BENCH_VENVS"]), name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
