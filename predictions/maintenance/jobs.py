"""The jobs of the maintenance process: the interval of each, and for how long the other jobs wait for it."""

from collections.abc import Callable

from django.conf import settings

from predictions.maintenance import (
    canary,
    challengers,
    examination,
    leases,
    promotions,
    renotify,
    retention,
    rollups,
    webhooks,
)
from predictions.maintenance.fallback import Fallback
from predictions.maintenance.runner import Done, Job
from predictions.models import Heartbeat, IdempotencyKey
from predictions.models.heartbeat import KEEPER

# Expired idempotency keys that one run deletes at most.
KEYS_PER_RUN = 1000


def of_sweep(fallback: Fallback) -> list[Job]:
    """The jobs that `keeper --once` runs too."""
    every = settings.KEEPER_SECONDS
    jobs = [
        Job("leases", every, 1.0, leases.sweep),
        Job("files", every, 1.0, leases.sweep_files),
        Job("renotify", every, 0.5, renotify.notify_again),
        Job("fallback", every, 0.5, fallback.check),
        Job("examine", examination.INTERVAL_SECONDS, 0.5, _without_counts(examination.examine)),
        Job("challengers", challengers.INTERVAL_SECONDS, 0.5, challengers.watch),
        Job("promotions", promotions.INTERVAL_SECONDS, 0.5, _without_counts(promotions.ask_again)),
    ]
    if settings.RETENTION is not None:
        jobs.append(Job("retention", every, 0.5, retention.prune_some))
    return jobs


def of_keeper(fallback: Fallback) -> list[Job]:
    """All jobs of the maintenance process, the most urgent first."""
    every = settings.KEEPER_SECONDS

    def beat() -> None:
        Heartbeat.objects.beat(KEEPER, fallback=fallback.active())

    def remove_keys() -> None:
        IdempotencyKey.objects.remove_expired(KEYS_PER_RUN)

    return [
        *of_sweep(fallback),
        Job("drafts", 300.0, 1.0, retention.prune_drafts),
        Job("stray files", 3600.0, 1.0, retention.prune_strays),
        Job("heartbeat", every, 0.5, _without_counts(beat)),
        Job("canary", every, 0.5, _without_counts(canary.send)),
        Job("rollups", every, 0.5, _without_counts(rollups.update)),
        Job("idempotency keys", every, 0.5, _without_counts(remove_keys)),
        Job("webhooks", webhooks.INTERVAL_SECONDS, 0.2, webhooks.deliver),
    ]


def _without_counts(action: Callable[[], object]) -> Callable[[], Done]:
    """For jobs whose work is not worth a line of the log."""

    def run() -> Done:
        action()
        return {}

    return run
