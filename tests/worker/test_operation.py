"""What the running processes tell of themselves."""

from tests.stack import Stack
from tests.waiting import wait_until


def test_worker_gives_signs_of_life_which_readiness_and_metrics_tell(stack: Stack) -> None:
    stack.wait_for_end([stack.submit("iris", [5.1, 3.5, 1.4, 0.2])], 30)

    def beats() -> bool:
        return stack.client.get("/healthz/ready").json()["worker_seconds"] is not None

    wait_until(beats, 30, "a worker has beaten")
    assert 'foretell_loader_bytes{process="worker:worker@' in stack.client.get("/metrics").text
