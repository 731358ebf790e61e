"""The states of predictions and batch jobs with their transitions, and the lanes and sources of predictions."""

from collections.abc import Mapping

from django.db import models


class State(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


# The only table of transitions. docs/reference/states.md is drawn from it.
TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    State.QUEUED: (State.RUNNING, State.CANCELED, State.EXPIRED, State.FAILED),
    State.RUNNING: (State.SUCCEEDED, State.FAILED, State.CANCELED, State.QUEUED, State.EXPIRED),
    State.SUCCEEDED: (),
    State.FAILED: (),
    State.CANCELED: (),
    State.EXPIRED: (),
}
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


def before(state: State) -> list[State]:
    """The states from which `state` can be reached: the guard of every update."""
    return [earlier for earlier, following in TRANSITIONS.items() if state in following]


class JobState(models.TextChoices):
    """The state of a batch job. A finished job may have bad rows: its counts say how many."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


# A finished job runs again when corrections of its bad rows arrive.
JOB_TRANSITIONS: Mapping[JobState, tuple[JobState, ...]] = {
    JobState.QUEUED: (JobState.RUNNING, JobState.CANCELED, JobState.EXPIRED, JobState.FAILED),
    JobState.RUNNING: (JobState.FINISHED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED),
    JobState.FINISHED: (JobState.RUNNING,),
    JobState.FAILED: (),
    JobState.CANCELED: (),
    JobState.EXPIRED: (),
}
JOB_TERMINAL = frozenset(JobState) - {JobState.QUEUED, JobState.RUNNING}


class Lane(models.TextChoices):
    INTERACTIVE = "interactive"
    BULK = "bulk"


class Source(models.TextChoices):
    FORM = "form", "the form"
    API = "api", "the API"
    CANARY = "canary", "the canary"
