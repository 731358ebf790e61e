"""A restore while the processes run: a version is known by its artefact, not by its primary key."""

import shutil
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.restoring import restore_in_place, train_tripled
from tests.worker.conftest import SHORT_TIMES


def test_running_worker_answers_with_the_restored_artefact(
    tmp_path: Path, trained_probe: Path, request: pytest.FixtureRequest
) -> None:
    models = tmp_path / "models"
    shutil.copytree(trained_probe, models / "probe")
    restored = train_tripled(tmp_path / "restored", "probe")
    assert request.config.cache
    collected = request.config.cache.mkdir("foretell-static")

    with stacks.prepared(models, collected, **SHORT_TIMES) as stack:
        stack.start("redis", "worker", "web")
        [row] = stack.wait_for_end([stack.submit("probe", {"x": 5, "seconds": 0})], 30)
        assert stack.get(row["id"])["output"]["value"] == 11.0

        restore_in_place(stack, "probe", restored)
        ids = [stack.submit("probe", {"x": 5, "seconds": 0}) for _ in range(5)]
        rows = stack.wait_for_end(ids, 30)
        assert {row["version_id"] for row in rows} == {row["version_id"]}
        assert [stack.get(prediction_id)["output"]["value"] for prediction_id in ids] == [15.0] * 5
