import csv
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.management.lifecycle import find_model
from predictions.models import Feedback, ModelVersion, RegisteredModel

# Columns about the prediction, after the columns for training.
ABOUT = ("prediction", "version", "asked_at", "said_at")


class Command(BaseCommand):
    help = (
        "Writes the inputs whose true answers people gave as feedback, as CSV for the next training: the features, "
        "then the targets."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("-o", "--output", default="-", help="a file; - for standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        champion = find_model(options["name"]).champion
        if champion is None:
            raise CommandError(f"{options['name']} has no version that serves: its columns are not known.")
        try:
            with self._opened(options["output"]) as file:
                count = _write(champion, file)
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
        self.stderr.write(f"{count} rows with a true answer.")

    def _opened(self, name: str) -> Any:
        return nullcontext(self.stdout) if name == "-" else Path(name).open("w", encoding="utf-8", newline="")


def _write(champion: ModelVersion, file: Any) -> int:
    """Write rows in the columns of the champion. Returns how many. Values are not escaped, since programs read them."""
    features = champion.signature.names
    targets = [view["target"]["name"] for view in champion.views] or [champion.manifest["target"]["name"]]
    writer, count = csv.writer(file, lineterminator="\n"), 0
    writer.writerow([*features, *targets, *ABOUT])
    for feedback, truths in _said(champion.registered_model):
        row = feedback.prediction
        values = dict(zip(row.version.signature.names, row.values, strict=True))
        known = [*(_cell(values.get(name)) for name in features), *(truths.get(name) for name in targets)]
        about = [row.pk, row.version.number, row.created_at.isoformat(), feedback.given_at.isoformat()]
        writer.writerow([*known, *about])
        count += 1
    return count


def _said(model: RegisteredModel) -> Iterator[tuple[Feedback, dict[str, Any]]]:
    """The latest true answer of each prediction, by target."""
    given = (
        Feedback.objects.filter(prediction__version__registered_model=model)
        .select_related("prediction__version")
        .order_by("prediction_id", "-given_at")
    )
    last = None
    for feedback in given.iterator():
        truth = feedback.truth(feedback.prediction.output or {})
        if truth is None or feedback.prediction_id == last:
            continue
        last = feedback.prediction_id
        single = feedback.prediction.version.manifest["target"]["name"]
        yield feedback, truth if isinstance(truth, dict) else {single: truth}


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
