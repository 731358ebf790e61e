"""Explanations and what-ifs from the request to the result: durable, computed once, polled like a prediction."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db.models.functions import Now

from predictions.models import Computation, ModelVersion, Prediction, State
from predictions.models.computation import Kind
from predictions.queue import notifications
from tests.integration.conftest import IRIS, make, run_worker
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def answered(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> Prediction:
    row = make(iris)
    run_worker(iris)
    row.refresh_from_db()
    return row


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The messages to workers, which are not delivered."""
    messages: list[int] = []
    monkeypatch.setattr(notifications, "ask_to_compute", lambda pk: bool(messages.append(pk)) or True)
    return messages


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker computes each request in this thread."""
    from predictions.explanations.compute import compute

    monkeypatch.setattr(notifications, "ask_to_compute", lambda pk: compute(pk) is None)


def address(row: Prediction, what: str) -> str:
    return f"/predictions/{row.pk}/{what}/"


@pytest.mark.parametrize("what", ["explanation", "what-if"])
def test_fragment_polls_until_a_worker_has_computed(
    client: Client, answered: Prediction, sent: list[int], what: str
) -> None:
    from predictions.explanations.compute import compute

    first = client.get(address(answered, what), headers=HTMX)
    element = Page(first).one("section", id=f"{what}-{answered.pk}")
    assert (first.status_code, element["aria-busy"]) == (200, "true")
    assert "attempt=1" in element["hx-get"]

    compute(*sent)

    ended = client.get(element["hx-get"], headers=HTMX)
    assert ended.status_code == 286
    assert "hx-trigger" not in Page(ended).one("section", id=f"{what}-{answered.pk}")


def test_explanation_is_computed_once_and_shown_in_words(client: Client, answered: Prediction, at_once: None) -> None:
    client.get(address(answered, "explanation"))

    page = Page(client.get(address(answered, "explanation")))

    assert "moved the answer most: towards setosa." in page.text
    assert "not what causes the outcome" in page.text
    assert Computation.objects.get().attempts == 1


def test_explanation_of_an_earlier_release_is_computed_again(
    client: Client, answered: Prediction, at_once: None
) -> None:
    earlier = Computation.objects.ask(answered, Kind.EXPLANATION, {})
    Computation.objects.filter(pk=earlier.pk).update(result={"reason": "none"}, finished_at=Now())
    client.get(address(answered, "explanation"))

    page = Page(client.get(address(answered, "explanation")))

    assert "moved the answer most: towards setosa." in page.text


def test_answer_can_be_explained_after_many_questions_about_it(
    client: Client, answered: Prediction, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.explanations.requests.MOST_QUESTIONS", 1)
    client.get(address(answered, "what-if"))

    assert client.get(address(answered, "explanation")).status_code == 200


def test_other_value_is_answered_beside(client: Client, answered: Prediction, at_once: None) -> None:
    query = "?feature=petal length (cm)&value=5"
    client.get(address(answered, "what-if") + query)

    page = Page(client.get(address(answered, "what-if") + query))

    assert "With the values as asked setosa" in page.text
    assert "With the other value" in page.text
    assert "how the estimate moves, not what a change would do" in page.text


def test_other_value_that_is_wrong_is_refused_in_place(client: Client, answered: Prediction, at_once: None) -> None:
    client.get(address(answered, "what-if"))

    page = Page(client.get(f"{address(answered, 'what-if')}?feature=petal length (cm)&value=long"))

    assert "“long” is not a number." in page.text
    assert page.one("input", name="value")["aria-invalid"] == "true"


@pytest.mark.parametrize("what", ["explanation", "what-if"])
@pytest.mark.parametrize("state", [State.QUEUED, State.FAILED])
def test_prediction_without_an_answer_is_not_explained(
    client: Client, iris: ModelVersion, sent: list[int], what: str, state: State
) -> None:
    page = Page(client.get(address(make(iris, state), what)))

    assert "There is no answer yet" in page.text
    assert (sent, Computation.objects.count()) == ([], 0)


def test_lost_message_is_sent_again_but_not_with_every_poll(
    client: Client, answered: Prediction, sent: list[int]
) -> None:
    for _ in range(3):
        client.get(address(answered, "explanation"), headers=HTMX)
    assert len(sent) == 1

    Computation.objects.update(notified_at=Now() - timedelta(seconds=10))
    client.get(address(answered, "explanation"), headers=HTMX)
    assert len(sent) == 2


def test_request_whose_worker_died_is_computed_by_another(
    answered: Prediction, client: Client, sent: list[int]
) -> None:
    from predictions.explanations.compute import compute

    client.get(address(answered, "explanation"))
    assert Computation.objects.claim(sent[0])
    compute(sent[0])
    assert Computation.objects.get().finished_at is None  # the other worker still has it

    Computation.objects.update(claimed_until=Now() - timedelta(seconds=1))
    compute(sent[0])
    assert Computation.objects.get().result["method"] == "exact"


def test_claim_lasts_longer_than_a_task_may(
    answered: Prediction, client: Client, sent: list[int], settings: Any
) -> None:
    client.get(address(answered, "explanation"))
    settings.LEASE = timedelta(seconds=90)  # as with TIME_LIMIT=85

    Computation.objects.claim(sent[0])

    assert Computation.objects.filter(claimed_until__gt=Now() + timedelta(seconds=80)).exists()


def test_late_worker_does_not_replace_the_result_of_another(
    answered: Prediction, client: Client, sent: list[int]
) -> None:
    client.get(address(answered, "explanation"))
    late = Computation.objects.claim(sent[0])
    Computation.objects.update(claimed_until=Now() - timedelta(seconds=1))
    second = Computation.objects.claim(sent[0])
    assert late
    assert second

    assert [second.settle({"n": 2}, ""), late.settle({"n": 1}, "")] == [True, False]
    assert Computation.objects.get().result == {"n": 2}


def test_request_that_costs_three_workers_fails(client: Client, answered: Prediction, sent: list[int]) -> None:
    client.get(address(answered, "explanation"))
    for _ in range(3):
        assert Computation.objects.claim(sent[0])
        Computation.objects.update(claimed_until=Now() - timedelta(seconds=1))
    assert Computation.objects.claim(sent[0]) is None

    page = Page(client.get(address(answered, "explanation")))

    assert "It could not be computed: The prediction was interrupted more than once" in page.text


def test_error_of_the_estimator_is_told_without_its_words(
    client: Client, answered: Prediction, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("secret: /home/someone")

    monkeypatch.setattr("predictions.explanations.compute.surface", fail)
    client.get(address(answered, "explanation"))

    page = Page(client.get(address(answered, "explanation")))

    assert "It could not be computed: The model could not give an answer" in page.text
    assert "secret" not in page.text


def test_questions_about_one_answer_are_limited(
    client: Client, answered: Prediction, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.explanations.requests.MOST_QUESTIONS", 2)
    asked = [f"{address(answered, 'what-if')}?feature=petal length (cm)&value={value}" for value in range(1, 6)]
    pages = [Page(client.get(one)).text for one in asked]

    assert Computation.objects.count() <= 3
    assert "Too many other values were asked about this answer." in pages[-1]


@pytest.mark.parametrize("what", ["explanation", "what-if"])
def test_explanation_is_seen_by_those_who_see_the_prediction(
    client: Client, answered: Prediction, owner: Any, sent: list[int], what: str
) -> None:
    Prediction.objects.filter(pk=answered.pk).update(owner=owner)

    assert client.get(address(answered, what)).status_code == 404


# --- The API ----------------------------------------------------------------------------------------------------------
def test_api_gives_the_contributions(client: Client, answered: Prediction, sent: list[int]) -> None:
    from predictions.explanations.compute import compute

    path = f"/api/v1/predictions/{answered.pk}/explanation/"
    first = client.get(path)
    assert (first.status_code, first["Retry-After"], first.json()["status"]) == (202, "1", "queued")

    compute(*sent)

    found = client.get(path)
    assert (found.status_code, found.json()["status"]) == (200, "succeeded")
    explanation = found.json()["explanation"]
    assert set(explanation["contributions"]) == set(answered.version.signature.names)
    assert abs(explanation["base"] + sum(explanation["contributions"].values()) - explanation["answer"]) < 1e-6


def test_api_refuses_to_explain_what_has_no_answer(client: Client, iris: ModelVersion) -> None:
    response = client.get(f"/api/v1/predictions/{make(iris).pk}/explanation/")

    assert (response.status_code, response.json()["code"]) == (409, "no_answer")


def what_if_path(row: Prediction, query: dict[str, str]) -> str:
    return f"/api/v1/predictions/{row.pk}/what-if/?{urlencode(query, errors='surrogatepass')}"


def test_api_says_what_would_change_the_answer(client: Client, answered: Prediction, sent: list[int]) -> None:
    from predictions.explanations.compute import compute

    path = f"/api/v1/predictions/{answered.pk}/what-if/"
    first = client.get(path)
    assert (first.status_code, first["Retry-After"], first.json()["status"]) == (202, "1", "queued")
    assert first.json()["what_if"] is None

    compute(*sent)

    found = client.get(path).json()["what_if"]
    assert (found["before"]["grade_evidence"], found["changed"]) == (answered.output["grade_evidence"], None)
    assert found["before"]["probabilities"] == pytest.approx(answered.output["probabilities"])
    assert {curve["feature"] for curve in found["curves"]} <= set(answered.version.signature.names)
    assert found["change"]["from"] in answered.values
    assert found["change"]["output"]["label"] != answered.output["label"]
    # The page says the same.
    assert (
        f"it would answer: {found['change']['output']['label']}." in Page(client.get(address(answered, "what-if"))).text
    )


def test_api_answers_other_values_beside(client: Client, answered: Prediction, at_once: None) -> None:
    path = what_if_path(answered, {"features": json.dumps({"petal length (cm)": 5, "petal width (cm)": 1.8})})
    client.get(path)

    found = client.get(path).json()

    assert found["status"] == "succeeded"
    assert found["what_if"]["before"]["label"] == "setosa"
    assert found["what_if"]["changed"]["label"] == "virginica"
    assert Computation.objects.get().attempts == 1


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"features": "5"}, "/features", "wrong_type"),
        ({"features": "{}"}, "/features", "wrong_type"),
        ({"features": "{"}, "/features", "wrong_type"),
        ({"features": "\ud800"}, "/features", "wrong_type"),
        ({"features": '{"petal length (cm)": "long"}'}, "/features/petal length (cm)", "wrong_type"),
        ({"features": '{"petals": 5}'}, "/features/petals", "unknown_feature"),
        ({"feature": "{}"}, "/feature", "unknown_parameter"),
    ],
)
def test_api_names_what_is_wrong_with_other_values(
    client: Client, answered: Prediction, sent: list[int], query: dict[str, str], pointer: str, code: str
) -> None:
    response = client.get(what_if_path(answered, query))

    assert response.status_code == 422
    assert [(one["pointer"], one["code"]) for one in response.json()["errors"]] == [(pointer, code)]
    assert sent == []


def test_api_limits_questions_about_one_answer(
    client: Client, answered: Prediction, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.explanations.requests.MOST_QUESTIONS", 2)
    paths = [what_if_path(answered, {"features": f'{{"petal length (cm)": {value}}}'}) for value in (2, 3, 4)]
    said = [client.get(path) for path in paths]

    assert [response.status_code for response in said] == [202, 202, 409]
    assert said[2].json()["code"] == "too_many_questions"


def test_api_refuses_to_change_what_has_no_answer(client: Client, iris: ModelVersion) -> None:
    response = client.get(what_if_path(make(iris), {"features": "{"}))

    assert (response.status_code, response.json()["code"]) == (409, "no_answer")


def test_explanation_is_removed_with_its_prediction(
    client: Client, answered: Prediction, at_once: Callable[[], None]
) -> None:
    client.get(address(answered, "explanation"))

    Prediction.objects.remove([answered.pk])

    assert Computation.objects.count() == 0
    assert len(IRIS) == 4
