"""The lanes that have work, and those that make no progress: predictions and chunks of files together."""

from datetime import timedelta

from predictions.models import BatchChunk, Lane, Prediction


def waiting(older_than: timedelta) -> list[str]:
    """The lanes with something queued for longer than `older_than`; where people wait first."""
    lanes = Prediction.objects.waiting_lanes(older_than)
    if Lane.BULK not in lanes and BatchChunk.objects.is_waiting(older_than):
        lanes.append(Lane.BULK)
    return lanes


def stalled(bound: timedelta) -> list[str]:
    """The lanes with claimable work older than `bound`, none under a live lease, and none done within `bound`."""
    lanes = Prediction.objects.stalled_lanes(bound)
    if BatchChunk.objects.is_moving(bound):
        return [lane for lane in lanes if lane != Lane.BULK]
    if Lane.BULK not in lanes and BatchChunk.objects.is_waiting(bound):
        lanes.append(Lane.BULK)
    return lanes
