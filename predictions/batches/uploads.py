"""Checks an upload before its body is received: its path, its declared length and its sender."""

import re
import uuid

from predictions.batches import jobs
from predictions.use_cases.callers import Caller, check_may_change

_CORRECTIONS = re.compile(r".*/batches/([0-9a-fA-F-]{36})/corrections/")


def check_upload(path: str, length: int, caller: Caller, *, makes_job: bool, has_key: bool = False) -> None:
    """`makes_job`: whether a valid body makes a new job. `has_key`: whether the request has an Idempotency-Key, and so
    may repeat corrections that were accepted.

    Raises:
        FileTooLarge, TooManyFiles: the disk has no room, or the caller has too many unfinished jobs.
        NotFound, Forbidden, NotCorrectable, Removed: corrections of a job that does not take them from this caller.
    """
    jobs.check_room(length)
    if found := _CORRECTIONS.fullmatch(path):
        job = jobs.find_job(_job_id(found.group(1)), caller)
        check_may_change(caller, job)
        if not has_key:
            jobs.check_correctable(job, caller)
    elif makes_job:
        jobs.check_number_of_jobs(caller)


def _job_id(text: str) -> uuid.UUID:
    """The UUID in a text; for any other text the nil UUID, which no job has."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)
