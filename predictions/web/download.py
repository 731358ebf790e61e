"""One prediction as a CSV file (RFC 4180): a line of names, and a line of values."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from predictions.batches.downloads import target_columns
from predictions.models import ModelVersion, Prediction

# A spreadsheet would run a text that begins with one of these characters as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(prediction: Prediction) -> str:
    """A header line and a line of values: features, answer and its certainty, advice, error, model, version, time."""
    signature, version = prediction.version.signature, prediction.version
    advice = version.advisor.advise(prediction.values)
    columns = [
        *zip(signature.names, prediction.values, strict=True),
        *_answers(prediction.output or {}, version),
        ("advice", "; ".join(f"{one.feature}: {one.message}" for one in advice)),
        ("error", prediction.error_code),
        ("model", version.registered_model.name),
        ("version", version.number),
        ("asked_at", prediction.created_at.isoformat()),
    ]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([csv_cell(name) for name, _ in columns])
    writer.writerow([csv_cell(value) for _, value in columns])
    return written.getvalue()


def _answers(output: dict[str, Any], version: ModelVersion) -> Iterator[tuple[str, Any]]:
    if not version.views:
        yield from _answer(output, version.manifest.get("labels", []))
    names = target_columns(version.manifest) if version.views else {}
    for view in version.views:
        target = view["target"]["name"]
        part = _answer(output.get("outputs", {}).get(target, {}), view["labels"])
        yield from ((names[target, column], value) for column, value in part)


def _answer(output: dict[str, Any], labels: list[str]) -> Iterator[tuple[str, Any]]:
    yield "prediction", output.get("label", output.get("value"))
    if labels:
        shares = output.get("probabilities") or {}
        yield from ((f"probability_{label}", shares.get(label)) for label in labels)
        held = output.get("prediction_set")
        yield "prediction_set", None if held is None else "|".join(held)
    else:
        low, high = output.get("interval") or (None, None)
        yield from (("lower", low), ("upper", high))
    yield "grade", output.get("grade")


def csv_cell(value: Any) -> Any:
    """A value as a CSV cell. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
