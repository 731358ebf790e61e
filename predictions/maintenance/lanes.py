"""The lanes that have work, and those that make no progress: predictions and chunks of files together."""

from datetime import timedelta

from predictions.models import BatchChunk, Comparison, Lane, Prediction

# Comparisons wait while predictions have waited for about this long.
MOMENT = timedelta(seconds=1)


def waiting(older_than: timedelta) -> list[str]:
    """The lanes with something queued for longer than `older_than`, the interactive lane first."""
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


def standing_still(bound: timedelta) -> list[str]:
    """The stalled lanes, and the bulk lane if a due comparison is unclaimed.

    For the fallback worker `stalled` decides: it executes no comparisons.
    """
    lanes = stalled(bound)
    is_calm = not Prediction.objects.waiting_lanes(MOMENT)
    if Lane.BULK not in lanes and is_calm and Comparison.objects.is_neglected(bound):
        lanes.append(Lane.BULK)
    return lanes
