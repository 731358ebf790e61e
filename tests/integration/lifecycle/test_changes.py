"""Promote, pause and archive: the version that serves afterwards, the notices on pages, and the history."""

from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.test import Client

from predictions.lifecycle import registry
from predictions.models import LifecycleEvent, ModelVersion, RegisteredModel
from tests.support.api_client import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)

PREDICT = "/api/v1/models/iris/predictions/"
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
REASON = "The lab changes its device until Friday."


def command(*arguments: Any, **options: Any) -> str:
    output = StringIO()
    call_command(*arguments, **options, stdout=output)
    return output.getvalue()


def history() -> list[tuple[str, str]]:
    return [(event.action, event.reason) for event in LifecycleEvent.objects.order_by("at", "id")]


@pytest.fixture
def api(clean_redis: redis.Redis) -> ApiClient:
    return ApiClient()


@pytest.fixture
def second(iris: ModelVersion) -> ModelVersion:
    """Version 2 of iris, which was not promoted."""
    row = ModelVersion.objects.get(pk=iris.pk)
    row.pk, row.number = None, 2
    row.save()
    return row


def test_paused_model_tells_programs_and_people_why(iris: ModelVersion, api: ApiClient, client: Client) -> None:
    command("pause", "iris", reason=REASON)

    refused = api.post(PREDICT, ROW)
    page = client.get("/models/iris/").content.decode()
    assert (refused.status_code, refused.json()["code"]) == (503, "model_unavailable")
    assert REASON in refused.json()["detail"]
    assert int(refused["Retry-After"]) > 0
    assert REASON in page
    assert 'name="sepal length (cm)"' not in page


def test_paused_model_refuses_a_named_version_and_tensors(iris: ModelVersion, api: ApiClient) -> None:
    command("pause", "iris", reason=REASON)

    tensor = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
    named = api.post(PREDICT, {**ROW, "version": 1})
    inferred = api.post("/v2/models/iris/infer", {"inputs": [tensor]})
    assert [named.status_code, inferred.status_code] == [503, 503]
    assert REASON in inferred.json()["error"]


def test_resumed_model_accepts_predictions(iris: ModelVersion, api: ApiClient) -> None:
    command("pause", "iris", reason=REASON)
    command("pause", "iris", undo=True)

    assert api.post(PREDICT, ROW).status_code == 202
    assert history() == [("paused", REASON), ("resumed", "")]


def test_model_that_is_not_paused_cannot_be_resumed(iris: ModelVersion) -> None:
    with pytest.raises(CommandError, match="iris is not paused"):
        command("pause", "iris", undo=True)


def test_pause_without_a_reason_is_refused(iris: ModelVersion) -> None:
    with pytest.raises(CommandError, match="must say something"):
        command("pause", "iris", reason=" ")


def test_unknown_model_and_version_are_named(iris: ModelVersion) -> None:
    with pytest.raises(CommandError, match="no model nowhere"):
        command("pause", "nowhere", reason=REASON)
    with pytest.raises(CommandError, match="iris has no version 7"):
        command("archive", "iris", 7)


def test_serving_version_cannot_be_archived(iris: ModelVersion) -> None:
    with pytest.raises(CommandError, match="iris v1 serves; promote another version first"):
        command("archive", "iris", 1)
    assert history() == []


def test_archived_version_cannot_be_promoted_until_it_is_restored(
    iris: ModelVersion, second: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.worker.preload.examine", lambda _: True)
    command("archive", "iris", 2, reason="it was made from wrong data")

    with pytest.raises(CommandError, match="iris v2 is archived; bring it back with archive iris 2 --undo"):
        command("promote", "iris", 2)
    command("archive", "iris", 2, undo=True)
    command("promote", "iris", 2, reason="better on the spring data")
    registry.clear_cache()
    champion = registry.find("iris").champion
    assert champion is not None
    assert champion.number == 2
    assert history() == [
        ("archived", "it was made from wrong data"),
        ("restored", ""),
        ("promoted", "better on the spring data"),
    ]


def test_version_is_archived_and_restored_once(iris: ModelVersion, second: ModelVersion) -> None:
    with pytest.raises(CommandError, match="iris v2 is not archived"):
        command("archive", "iris", 2, undo=True)
    command("archive", "iris", 2, reason="it was made from wrong data")
    with pytest.raises(CommandError, match="iris v2 is archived already"):
        command("archive", "iris", 2, reason="another reason")

    assert history() == [("archived", "it was made from wrong data")]


def test_refused_promotion_is_kept_with_what_the_proof_found(
    iris: ModelVersion, second: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(version_id: int) -> bool:
        ModelVersion.objects.mark_unavailable(version_id, "row 3 alone differs")
        return False

    monkeypatch.setattr("predictions.worker.preload.examine", fail)
    with pytest.raises(CommandError, match="iris v2 does not serve: row 3 alone differs"):
        command("promote", "iris", 2)

    assert history() == [("refused", "row 3 alone differs")]
    assert RegisteredModel.objects.get(name="iris").champion_id == iris.pk


def test_versions_page_shows_states_and_measures_to_everybody(
    iris: ModelVersion, second: ModelVersion, client: Client
) -> None:
    command("archive", "iris", 2)
    page = client.get("/models/iris/versions/").content.decode()

    assert "Version 1" in page
    assert "<strong>serving</strong>" in page
    assert "archived" in page
    assert f"Right answers<small>{'accuracy'}" in page
    assert "History" not in page


def test_history_is_for_analysts(iris: ModelVersion, client: Client, analyst: Any) -> None:
    command("pause", "iris", reason=REASON)
    client.force_login(analyst)
    page = client.get("/models/iris/versions/").content.decode()

    assert "History" in page
    assert page.count(REASON) == 2  # the notice, and the event
