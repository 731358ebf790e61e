"""The page of a comparison, and replays that operators start on it."""

import math
from typing import Any

import pytest
from django.contrib.auth.models import User

from predictions.comparison import execution
from predictions.comparison import replay as replays
from predictions.models import ComparedAnswer, Comparison, Feedback, ModelVersion, Prediction, State
from predictions.queue import notifications
from tests.integration.conftest import IRIS, SETOSA, make, signed_in
from tests.support.site_client import Client

Versions = tuple[ModelVersion, ModelVersion]
VIRGINICA = [6.7, 3.1, 5.6, 2.4]
PAGE, CHANGE = "/models/iris/versions/2/comparison/", "/models/iris/versions/change/"


def answered(version: ModelVersion, **fields: Any) -> Prediction:
    return make(version, State.SUCCEEDED, age=60.0, **fields)


def text(client: Client, path: str = PAGE) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode()).replace("\N{EN DASH}", "-")


def replay(client: Client, last: str = "100") -> str:
    response = client.post(CHANGE, {"what": "replay:2", "last": last}, follow=True)
    return str(response.content.decode())


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "fragment"])
def test_progress_without_a_replay_is_not_found(second: Versions, operator: Client, headers: dict[str, str]) -> None:
    assert operator.get(f"{PAGE}progress/", headers=headers).status_code == 404


def test_replay_compares_each_row_once_while_others_are_answered(
    second: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = second
    rows = [answered(first) for _ in range(5)]
    monkeypatch.setattr(replays, "ROWS_A_CALL", 2)

    pairs = replays.replay(other, 5, lambda _: answered(first) and None)

    assert [pair.prediction for pair in pairs] == sorted((row.pk for row in rows), reverse=True)


def test_page_without_answers_says_what_makes_some(second: Versions, operator: Client) -> None:
    assert "Version 2 has answered nothing again yet." in text(operator)


def test_replay_runs_in_a_worker_and_its_result_is_shown(second: Versions, operator: Client) -> None:
    first, _ = second
    for _ in range(40):
        answered(first)
    wrong = [answered(first, values=VIRGINICA) for _ in range(12)]
    for row in wrong:
        Feedback.objects.say(row, "visitor:a", actual="virginica")

    page = replay(operator)
    assert "The replay is under way: 0 of at most 100" in page
    assert "A replay on version 2 is under way." in replay(operator)
    assert execution.run(math.inf)

    page = text(operator)
    assert "Version 2 beside version 1" in page
    assert "40 of 52 (64-86 %)" in page
    assert "12 of 12 (76-100 %)" in page  # people said that virginica was right
    assert "Petal length" in page
    assert str(wrong[-1].pk) in page
    assert "and 30 are needed" in page
    assert "The replay is under way" not in page


def test_page_counts_a_no_without_the_true_class(second: Versions, operator: Client) -> None:
    for _ in range(40):
        Feedback.objects.say(answered(second[0]), "visitor:a", was_right=True)
    for _ in range(12):
        Feedback.objects.say(answered(second[0], values=VIRGINICA), "visitor:a", was_right=False)
    replay(operator)
    execution.run(math.inf)

    page = text(operator)
    assert "40 of 52 (64-86 %)" in page
    assert "40 to 52 of 52 (64-100 %)" in page
    assert "By feedback on 52 predictions." in page
    assert "In 12 more cases people said that version 1 was wrong, and nobody said what was true." in page
    assert "there is a verdict only if no true answer could change it" in page
    assert "its errors may be counted more often than they happen" in page


def test_replay_takes_the_newest_inputs(second: Versions, operator: Client) -> None:
    for _ in range(5):
        answered(second[0])
    replay(operator, "3")
    execution.run(math.inf)
    assert ComparedAnswer.objects.count() == 3
    assert Comparison.objects.get().is_terminal
    assert Prediction.objects.count() == 5


def test_progress_is_polled_until_the_end(second: Versions, operator: Client) -> None:
    answered(second[0])
    replay(operator)
    fragment = operator.get(f"{PAGE}progress/?attempt=3", headers={"HX-Request": "true"})
    assert fragment.status_code == 200
    assert "attempt=4" in fragment.content.decode()
    capped = operator.get(f"{PAGE}progress/?attempt=99999", headers={"HX-Request": "true"}).content.decode()
    assert "hx-trigger" not in capped
    assert "Check again" in capped
    execution.run(math.inf)
    over = operator.get(f"{PAGE}progress/?attempt=4", headers={"HX-Request": "true"})
    assert over.status_code == 286
    assert "Show the result" in over.content.decode()


@pytest.mark.parametrize("last", ["", "0", "5001", "many"])
def test_replay_of_a_wrong_number_is_refused(second: Versions, operator: Client, last: str) -> None:
    assert "Must be a whole number from 1 to 5000." in replay(operator, last)
    assert not Comparison.objects.exists()


def test_inputs_that_do_not_fit_are_left_out_and_counted(second: Versions, operator: Client) -> None:
    answered(second[0])
    answered(second[0], values=[*IRIS[:3], "broken"])
    replay(operator)
    execution.run(math.inf)
    page = text(operator)
    assert "By the newest 2 answers. " in page
    assert "1 does not fit the values that version 2 asks for, and is left out." in page


def test_one_answer_is_counted_in_the_singular(second: Versions, operator: Client) -> None:
    answered(second[0])
    replay(operator)
    execution.run(math.inf)

    assert "By the newest 1 answer. " in text(operator)


def test_analyst_reads_the_comparison_and_starts_nothing(second: Versions, analyst: User) -> None:
    page = text(signed_in(analyst))
    assert "Start the replay" not in page
    assert signed_in(analyst).post(CHANGE, {"what": "replay:2", "last": "5"}).status_code == 403


def test_others_do_not_see_the_comparison(second: Versions) -> None:
    assert Client().get(PAGE).status_code == 302
    somebody = User.objects.create_user("somebody")
    assert signed_in(somebody).get(PAGE).status_code == 403
    assert signed_in(somebody).get(f"{PAGE}progress/").status_code == 403


def test_version_that_there_is_not_has_no_comparison(second: Versions, operator: Client) -> None:
    assert operator.get("/models/iris/versions/77/comparison/").status_code == 404
    assert operator.get("/models/iris/versions/latest/comparison/").status_code == 200


def test_keeper_tells_the_workers_of_a_replay(
    second: Versions, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from predictions.maintenance import challengers

    told: list[str] = []
    replay(operator)
    monkeypatch.setattr(notifications, "notify", told.append)
    challengers.watch()
    assert told == ["bulk"]
    execution.run(math.inf)
    challengers.watch()
    assert told == ["bulk"]


def test_page_asks_for_few_statements_whatever_the_number_of_answers(
    second: Versions, operator: Client, django_assert_max_num_queries: Any
) -> None:
    for count in (1, 30):
        for _ in range(count):
            row = answered(second[0])
            ComparedAnswer.objects.create(original=row, version=second[1], output=SETOSA)
        text(operator)
        with django_assert_max_num_queries(14):
            text(operator)
