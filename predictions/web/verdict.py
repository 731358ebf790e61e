"""What a comparison means, in sentences that are no more certain than their numbers allow."""

from collections.abc import Sequence
from dataclasses import dataclass

from predictions.comparison.agreement import Agreement
from predictions.comparison.statistics import ENOUGH, mean_of, median_of
from predictions.web.formatting import number_text, share_text, wilson_interval

# Where only one of the two is right, so many cases are needed to say which one is better.
ENOUGH_APART = 10


@dataclass(frozen=True, slots=True)
class Names:
    """The two versions as sentences name them: the one that callers got, and the one that answered again."""

    before: str
    after: str


def verdict(agreements: Sequence[Agreement], times: Sequence[tuple[float, float]], names: Names) -> list[str]:
    said = []
    for agreement in agreements:
        target = f"{agreement.name}: " if agreement.name else ""
        said += [f"{target}{sentence}" for sentence in (same(agreement), better(agreement, names))]
    return [*said, quicker(times, names)]


def same(agreement: Agreement) -> str:
    counted = agreement.of
    if counted < ENOUGH:
        return f"Too few answers to judge: {agreement.same} of {counted} were the same."
    low, high = (round(end * 100) for end in wilson_interval(agreement.same, counted))
    if not agreement.differing:
        return f"All {counted} answers were the same. Of all such cases at least about {low} in 100 are."
    return f"In about {low} to {high} of 100 such cases the answers are the same, by {counted} that were compared."


def better(agreement: Agreement, names: Names) -> str:
    known = len(agreement.known)
    if not known:
        return "Which one is better is not known: nobody has said what was true."
    if known < ENOUGH:
        return f"Which one is better is not known: the truth is known for {known} cases, and {ENOUGH} are needed."
    return _fewer_errors(agreement, names) if agreement.kind == "regression" else _more_right(agreement, names)


def _more_right(agreement: Agreement, names: Names) -> str:
    """A sign test: only cases where one of the two is right say which one is better (McNemar 1947)."""
    before, after = agreement.right_alone("before"), agreement.right_alone("after")
    apart = before + after
    if apart < ENOUGH_APART:
        return (
            f"Neither is known to be better: only one of the two was right in {apart} of {len(agreement.known)} cases."
        )
    low, high = wilson_interval(after, apart)
    share = share_text(after, apart)
    if low <= 0.5 <= high:
        return f"Neither is known to be better: where only one of the two was right, {names.after} was so in {share}."
    who = names.after if low > 0.5 else names.before
    return (
        f"{who[:1].upper()}{who[1:]} is probably the better one for cases like these: where only one of the two was"
        f" right, {names.after} was so in {share}."
    )


def _fewer_errors(agreement: Agreement, names: Names) -> str:
    saved = mean_of([one.error(one.before) - one.error(one.after) for one in agreement.known])
    low, high = saved.low or 0.0, saved.high or 0.0
    told = f"by {saved.of} cases whose truth is known"
    if low <= 0 <= high:
        return f"Neither is known to be better, {told}."
    who = names.after if low > 0 else names.before
    ends = sorted((abs(low), abs(high)))
    return (
        f"{who[:1].upper()}{who[1:]} is probably the better one for cases like these: its error is smaller by"
        f" {number_text(ends[0])} to {number_text(ends[1])} in the mean, {told}."
    )


def quicker(times: Sequence[tuple[float, float]], names: Names) -> str:
    """By the ratio of the two times of each row, which were measured one after the other."""
    ratios = median_of([after / before for before, after in times if before > 0]) if times else None
    if ratios is None or ratios.low is None or ratios.high is None or ratios.of < ENOUGH:
        return f"Too few rows were timed to say which one is quicker: {len(times)}."
    if ratios.low <= 1 <= ratios.high:
        return f"Neither is known to be quicker, by {ratios.of} rows."
    return (
        f"A row alone takes {names.after} {number_text(ratios.low)} to {number_text(ratios.high)} times as long as"
        f" {names.before}, by {ratios.of} rows."
    )
