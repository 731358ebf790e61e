"""Webhooks with the real processes: none is lost when the deliverer is killed, and a duplicate is known by its id."""

import threading
from typing import Any

from tests.support.receiver import receiving
from tests.support.stack import connected
from tests.support.waiting import wait_until

ROW = [5.1, 3.5, 1.4, 0.2]


def test_message_reaches_the_receiver_although_its_deliverer_is_killed(prepare_stack: Any) -> None:
    answered = threading.Event()
    with (
        receiving(hold=lambda: answered.wait(30)) as receiver,
        prepare_stack(WEBHOOK_ALLOWED_HOSTS="127.0.0.1") as stack,
    ):
        stack.start("redis", "worker", "keeper", "web")
        create = "from django.contrib.auth.models import User; User.objects.create_user('program')"
        stack.manage("shell", "-c", create)
        token = {"Authorization": f"Bearer {stack.manage('create_token', 'program', '--name', 'hooks').strip()}"}
        secret = stack.client.get("/api/v1/webhooks/secret/", headers=token).json()["secret"]
        body = {"features": ROW, "webhook": {"url": receiver.url}}
        accepted = stack.client.post("/api/v1/models/iris/predictions/", json=body, headers=token).json()

        wait_until(lambda: len(receiver.got) == 1, 30, "the message is under way")
        stack["keeper"].kill()  # before it has the answer
        answered.set()
        with connected(stack.database_url) as connection:  # two minutes later
            connection.execute("UPDATE predictions_webhook SET next_at = '2001-01-01 00:00:00+00:00'")
            connection.commit()
        stack.start("keeper")
        log = f"/api/v1/predictions/{accepted['id']}/webhook/"

        def state() -> Any:
            return stack.client.get(log, headers=token).json()["status"]

        wait_until(lambda: state() == "delivered", 30, "the message is delivered")
        [attempt] = stack.client.get(log, headers=token).json()["attempts"]

    assert attempt["number"] == 2
    assert len(receiver.got) == 2
    assert len({message.id for message in receiver.got}) == 1
    assert all(message.is_signed_by(secret) for message in receiver.got)
    assert {message.json()["data"]["output"]["label"] for message in receiver.got} == {"setosa"}
