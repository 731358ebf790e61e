from collections.abc import Iterator, Sequence
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.management.lifecycle import find_version
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.schema.signature import Signature
from predictions.web.formatting import number_text, share_text
from predictions.web.version_comparison import answer_texts

if TYPE_CHECKING:
    from predictions.comparison.agreement import Agreement, Answer, Pair

LAST = 1000
NOT_KNOWN = "Nobody has said what was true yet."


class Command(BaseCommand):
    help = "Answers the last inputs of a model by one of its versions, and says where answers differ. Keeps nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("version", help="number or alias of the version that answers them again")
        parser.add_argument("--last", type=int, default=LAST, help=f"how many predictions, the newest first ({LAST})")

    def handle(self, *args: Any, **options: Any) -> None:
        from predictions.comparison.agreement import agreements  # noqa: PLC0415 - only here
        from predictions.comparison.replay import replay  # noqa: PLC0415 - only here

        if options["last"] < 1:
            raise CommandError("--last must be 1 or more")
        version = find_version(options["name"], options["version"])
        try:
            pairs = replay(version, options["last"], self._show)
        except ModelUnavailable as error:
            raise CommandError(f"{options['name']} v{version.number} does not serve here: {error.reason}") from None
        if not pairs:
            raise CommandError(f"No other version of {options['name']} has answered anything yet.")
        self.stdout.write(f"{len(pairs)} predictions of other versions, answered again by version {version.number}.")
        for line in (*_left_out(pairs), *_time(pairs)):
            self.stdout.write(line)
        for agreement in agreements(pairs, version.target_names):
            self.stdout.write("\n".join(_lines(agreement, version.signature)))

    def _show(self, done: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done} rows", ending="")


def _left_out(pairs: "Sequence[Pair]") -> Iterator[str]:
    unfit = sum(not pair.fits for pair in pairs)
    failed = sum(pair.fits and pair.after is None for pair in pairs)
    if unfit:
        yield f"{unfit} do not fit the values that it asks for, and are left out."
    if failed:
        yield f"{failed} get no answer from it: the log says why."


def _time(pairs: "Sequence[Pair]") -> Iterator[str]:
    answered = [pair.milliseconds for pair in pairs if pair.after is not None]
    if answered:
        yield f"A row took {number_text(sum(answered) / len(answered))} ms, many in one call."


def _lines(agreement: "Agreement", signature: Signature) -> Iterator[str]:
    yield ""
    if agreement.name:
        yield f"{agreement.name}:"
    same = share_text(agreement.same, agreement.of)
    if agreement.kind == "classification":
        yield f"The same class: {same}."
    else:
        yield f"Within the interval of the first answer, or the same: {same}. Median difference: " + (
            f"{number_text(agreement.median_distance)}."
        )
    yield from _accuracy(agreement)
    for group in agreement.groups(signature.features):
        share = share_text(group.differing, group.of)
        yield f"They differ more often where {group.feature} is {group.values}: {share}."
    if agreement.differing:
        yield "The largest differences:"
        yield from (f"  {answer.pair.prediction}: {_told(answer)}" for answer in agreement.largest)


def _accuracy(agreement: "Agreement") -> Iterator[str]:
    if agreement.kind == "classification":
        yield from _right(agreement)
    elif of := len(agreement.known):
        before, after = (_errors_text(agreement.errors(which)) for which in ("before", "after"))
        yield f"Where the truth is known ({of} rows), the error: {before} then, {after} now."
    else:
        yield NOT_KNOWN


def _errors_text(errors: Sequence[float]) -> str:
    return f"{number_text(mean(errors))} in the mean, {number_text(median(errors))} in the median"


def _right(agreement: "Agreement") -> Iterator[str]:
    if not (of := len(agreement.judged)):
        yield NOT_KNOWN
        return
    counts = (agreement.right(which) for which in ("before", "after"))
    before, after = (share_text(count.least, of, count.most) for count in counts)
    yield f"Where people judged the answer, right: {before} then, {after} now."
    if unknown := of - len(agreement.known):
        yield f"{unknown} of these were called wrong, and nobody said what was true."


def _told(answer: "Answer") -> str:
    before, after = answer_texts(answer)
    return f"{before} then, {after} now"
