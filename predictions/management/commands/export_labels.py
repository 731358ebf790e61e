from collections.abc import Iterator
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.batches import delimited
from predictions.comparison.truths import Told, classes, latest
from predictions.management.lifecycle import find_model
from predictions.models import Feedback, ModelVersion, Prediction

# Columns about the prediction, after the columns for training.
ABOUT = ("prediction", "version", "asked_at", "said_at")
UNKNOWN = (
    "{unknown} more were called wrong, and nobody said what was true. They are left out, so the model was right less "
    "often than in these rows."
)


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
                count, unknown = _write(champion, file)
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
        self.stderr.write(f"{count} rows with a true answer.")
        if unknown:
            self.stderr.write(UNKNOWN.format(unknown=unknown))

    def _opened(self, name: str) -> Any:
        return nullcontext(self.stdout) if name == "-" else Path(name).open("w", encoding="utf-8", newline="")


def _write(champion: ModelVersion, file: Any) -> tuple[int, int]:
    """Write rows in the columns of the champion. Values are not escaped, since programs read them.

    Returns the number of rows, and the number of wrong answers whose true answer is unknown.
    """
    features = champion.signature.names
    targets = [view["target"]["name"] for view in champion.views] or [champion.manifest["target"]["name"]]
    count, unknown = 0, 0
    file.write(delimited.line([*features, *targets, *ABOUT], ","))
    for row, told in _told(champion):
        if not told.truths:
            unknown += 1
            continue
        values = dict(zip(row.version.signature.names, row.values, strict=True))
        truths = {name or row.version.manifest["target"]["name"]: truth for name, truth in told.truths.items()}
        known = [*(_cell(values.get(name)) for name in features), *(truths.get(name) for name in targets)]
        about = [row.pk, row.version.number, row.created_at.isoformat(), told.given_at and told.given_at.isoformat()]
        file.write(delimited.line(["" if cell is None else str(cell) for cell in (*known, *about)], ","))
        count += 1
    return count, unknown


def _told(champion: ModelVersion) -> Iterator[tuple[Prediction, Told]]:
    """What feedback tells about each prediction of the champion's model."""
    given = (
        Feedback.objects.filter(prediction__version__registered_model=champion.registered_model)
        .select_related("prediction__version")
        .order_by("prediction_id", "-given_at")
    )
    for _, several in groupby(given.iterator(), lambda one: one.prediction_id):
        newest_first = list(several)
        row = newest_first[0].prediction
        told = latest(newest_first, row.output or {}, classes(row.version, champion))
        if told is not None:
            yield row, told


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
