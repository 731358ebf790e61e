"""A coroutine's wait for predictions: it ends with them or with its time, and the next wait begins anew."""

import asyncio
import uuid
from typing import Any

from predictions.queue.completions import CompletionListener, Subscription
from predictions.queue.futures import new_future, resolve

SECONDS = 20.0
ID = uuid.UUID("0190a000-0000-7000-8000-000000000001")
ENDED: dict[uuid.UUID, Any] = {ID: ("succeeded", {"kind": "regression", "value": 1.0}, "", None, None, 0.5, 1)}


def end(subscription: Subscription) -> None:
    """End the wait as the listener's thread does: it sets the statuses, and then resolves the future."""
    assert subscription.update(ENDED)
    resolve([(subscription.ended, subscription.statuses)])


def test_wait_ends_with_the_prediction() -> None:
    async def main() -> Any:
        subscription = Subscription(CompletionListener(), [ID])
        _, statuses = await asyncio.gather(asyncio.to_thread(end, subscription), subscription.wait(SECONDS))
        return statuses

    assert asyncio.run(main()) == ENDED


def test_wait_after_one_whose_time_was_over_ends_with_the_prediction() -> None:
    async def main() -> Any:
        subscription = Subscription(CompletionListener(), [ID])
        assert await subscription.wait(0.01) is None
        waiting = asyncio.create_task(subscription.wait(SECONDS))
        await asyncio.wait([waiting], timeout=0.01)
        assert not waiting.done()
        await asyncio.to_thread(end, subscription)
        return await waiting

    assert asyncio.run(main()) == ENDED


def test_prediction_that_ends_together_with_the_time_of_the_wait_is_seen() -> None:
    async def main() -> Any:
        subscription = Subscription(CompletionListener(), [ID])
        late = subscription.ended
        waiting = asyncio.create_task(subscription.wait(0.0))
        assert subscription.update(ENDED)
        statuses = await waiting  # the listener's thread has set the statuses, and resolves the future only now
        resolve([(late, subscription.statuses)])
        return statuses

    assert asyncio.run(main()) == ENDED


def test_canceled_wait_leaves_the_end_of_the_prediction_without_effect() -> None:
    async def main() -> bool:
        subscription = Subscription(CompletionListener(), [ID])
        waiting = asyncio.create_task(subscription.wait(SECONDS))
        await asyncio.wait([waiting], timeout=0.01)
        waiting.cancel()
        await asyncio.wait([waiting], timeout=SECONDS)
        end(subscription)
        later = new_future()
        resolve([(later, None)])
        await later  # so the loop has met the end of the prediction
        return waiting.cancelled()

    assert asyncio.run(main())
