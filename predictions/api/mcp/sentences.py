"""One prediction in a few plain words: the answer, and how sure it is. The structured content has all of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from predictions.models import Prediction, State
from predictions.serving.schema.errors import ERRORS, ForetellError, InvalidInput
from predictions.serving.schema.estimates import estimate_text

OUTSIDE = "Do not rely on it: the values are unlike the cases that the model learned from."
GRADES = {"clear": "The case is clear", "uncertain": "The case is uncertain"}


def of_prediction(row: Prediction, advice: list[str]) -> str:
    if row.state == State.SUCCEEDED:
        return " ".join([*_answer(row), *advice])
    if row.state == State.CANCELED:
        return "The prediction was canceled."
    if row.is_terminal:
        known = ERRORS.get(row.error_code)
        return known.sentence if known else f"The prediction has {row.state}; there is no answer."
    return (
        f"Not finished yet: the prediction is {row.state} and goes on. Call get_prediction with the id {row.pk} to wait"
        " for the answer, or cancel_prediction to end it."
    )


def of_error(error: ForetellError) -> str:
    """The sentence and every problem, so that all can be corrected at once."""
    problems = error.problems if isinstance(error, InvalidInput) else []
    again = [f"Try again in {error.retry_after} s."] if error.retry_after else []
    return "\n".join([error.sentence, *again, *(f"- {one.feature or 'the row'}: {one.message}" for one in problems)])


def _answer(row: Prediction) -> Iterator[str]:
    output, title = row.output or {}, row.version.registered_model.title
    if output.get("kind") != "multi":
        yield f"{title}: {_value(output)}."
        yield from _sureness(output)
        return
    for target, one in row.version.parts(output).items():
        yield f"{title}, {target}: {_value(one)}."
        yield from _sureness(one)


def _value(output: Mapping[str, Any]) -> str:
    if output["kind"] == "regression":
        return f"{output['value']:.6g} {output['unit'] or ''}".rstrip()
    share = (output.get("probabilities") or {}).get(output["label"])
    if share is None:
        return str(output["label"])
    return f"{output['label']} (probability {estimate_text(share, '{:.3g}'.format)})"


def _sureness(output: Mapping[str, Any]) -> Iterator[str]:
    grade, evidence, coverage = output.get("grade"), output.get("grade_evidence"), output.get("coverage")
    if grade == "outside":
        yield OUTSIDE
    elif grade in GRADES and evidence and evidence["of"]:
        yield f"{GRADES[grade]}: such answers were right in {evidence['right']} of {evidence['of']} unseen cases."
    elif grade in GRADES:
        yield f"{GRADES[grade]}."
    if coverage and output.get("interval"):
        low, high = output["interval"]
        yield f"The true value lies between {low:.6g} and {high:.6g} in about {coverage:.0%} of tested cases."
    if coverage and len(labels := output.get("prediction_set") or []) > 1:
        yield f"The true answer is among {', '.join(labels)} in about {coverage:.0%} of tested cases."
