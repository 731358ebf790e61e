"""Submits rows as pages and APIs do: find the version that serves, clean the row, submit the command."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from predictions.models import ModelVersion, Prediction, RegisteredModel, Source
from predictions.models.ids import new_prediction_id, new_prediction_ids
from predictions.use_cases import lookup
from predictions.use_cases.callers import Caller
from predictions.use_cases.submit import PredictCommand, submit_in_thread, submit_row


def ask_row(model: RegisteredModel, raw: Any, caller: Caller, **more: Any) -> Prediction:
    version = lookup.serving_version(model)
    command = PredictCommand(version, [version.signature.clean(raw)], [new_prediction_id()], caller, Source.API, **more)
    return submit_row(command)


def ask_rows(
    version: ModelVersion, rows: Sequence[list[Any]], caller: Caller, ids: Sequence[UUID] | None = None, **more: Any
) -> list[Prediction]:
    """Submit rows by one command: all of them are accepted, or none."""
    command = PredictCommand(version, rows, ids or new_prediction_ids(len(rows)), caller, Source.API, **more)
    return submit_in_thread(command)
