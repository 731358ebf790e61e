"""Proves a version in a new process, which can import only what a worker can import."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import predictions
from predictions.serving.artifacts import publication, repository
from predictions.serving.artifacts.manifest import Golden, Manifest, Memory
from predictions.serving.registration import CannotRegister

# A proof makes some hundred predict calls. A version whose proof takes longer is too slow to serve.
SECONDS = 1800


def prove_in_fresh_process(
    home: Path,
    manifest: Manifest,
    content: bytes,
    compiled: bytes | None,
    code: Mapping[str, bytes],
    rows: Golden,
    sureness: bytes | None,
    budget_bytes: int | None = None,
) -> Memory:
    """Stores the version in a temporary folder, proves it on the rows in a new process, and returns its memory use.

    Raises CannotRegister if the proof fails, or if the version takes more than `budget_bytes` of memory.
    """
    with tempfile.TemporaryDirectory(prefix="foretell-proof-") as folder:
        root = Path(folder)
        (root / home.name).mkdir()
        shutil.copy(home / repository.DESCRIPTION, root / home.name)
        stored = publication.write_version(root, manifest, content, compiled, code, sureness)
        asked, verdict = root / "rows.json", root / "verdict.json"
        asked.write_text(rows.model_dump_json())
        words = [str(root), home.name, str(stored.version), str(asked), str(verdict)]
        _run([sys.executable, "-m", "predictions.serving.training.prove_version", *words])
        memory = _read(verdict)
    if budget_bytes is not None and memory.most > budget_bytes:
        raise CannotRegister(
            f"It takes {_megabytes(memory.most)} of a worker's memory, and LOADER_MEGABYTES allows "
            f"{_megabytes(budget_bytes)} for all models. Raise LOADER_MEGABYTES, or fit a smaller estimator."
        )
    return memory


def _read(verdict: Path) -> Memory:
    said = json.loads(verdict.read_text()) if verdict.exists() else {"reason": "the process ended without a word"}
    if reason := said["reason"]:
        raise CannotRegister(
            f"A worker could not serve it: {reason.rstrip('.')}. Workers import installed packages and the modules "
            f"beside train.py or given with --code, and run scikit-learn with its default configuration."
        )
    return Memory.model_validate(said["memory"])


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.0f} MB"


def _run(command: list[str]) -> None:
    # manage.py and the workers start in this folder, too.
    home = Path(str(predictions.__file__)).parents[1]
    try:
        done = subprocess.run(command, cwd=home, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CannotRegister(f"A worker could not serve it: its proof took longer than {SECONDS} s.") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CannotRegister(f"A worker could not serve it: the process ended with {done.returncode}. {last}")
