"""The result of a comparison of two versions, in sentences that are no more certain than the numbers allow."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean

from django.utils.translation import gettext, ngettext

from predictions.comparison.agreement import Agreement
from predictions.comparison.statistics import ENOUGH, is_one_sided, median_of
from predictions.web.formatting import count_of_text, number_text, percent_ends, wilson_interval

# To say which version is better, this many cases are needed in which only one is right, or one is closer to the truth.
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
        said += [f"{target}{sentence}" for sentence in (same(agreement, names), better(agreement, names))]
    return [*said, quicker(times, names)]


def same(agreement: Agreement, names: Names) -> str:
    counted = agreement.of
    if counted < ENOUGH:
        return _few(agreement, names)
    low, high = percent_ends(*wilson_interval(agreement.same, counted))
    return _share_of_same(agreement) % {"low": low, "high": high, "of": counted, **asdict(names)}


def _few(agreement: Agreement, names: Names) -> str:
    if agreement.kind == "classification":
        text = ngettext(
            "Too few answers to judge: %(same)s of %(of)s was the same.",
            "Too few answers to judge: %(same)s of %(of)s were the same.",
            agreement.same,
        )
    else:
        text = ngettext(
            "Too few answers to judge: %(same)s of %(of)s of %(after)s lay within the interval of %(before)s, or was"
            " the same.",
            "Too few answers to judge: %(same)s of %(of)s of %(after)s lay within the interval of %(before)s, or were"
            " the same.",
            agreement.same,
        )
    return text % {"same": agreement.same, "of": agreement.of, **asdict(names)}


def _share_of_same(agreement: Agreement) -> str:
    """Numbers count as the same within the first one's interval, which may be wide. So the sentence says that."""
    if agreement.kind == "classification":
        if agreement.differing:
            return gettext(
                "In about %(low)s to %(high)s of 100 such cases the answers are the same, by %(of)s that were compared."
            )
        return gettext("All %(of)s answers were the same. Of all such cases at least about %(low)s in 100 are.")
    if agreement.differing:
        return gettext(
            "In about %(low)s to %(high)s of 100 such cases the answer of %(after)s lies within the interval of"
            " %(before)s, or is the same, by %(of)s that were compared."
        )
    return gettext(
        "All %(of)s answers of %(after)s lay within the interval of %(before)s, or were the same. Of all such cases at"
        " least about %(low)s in 100 do."
    )


def better(agreement: Agreement, names: Names) -> str:
    known = len(agreement.known)
    if not known:
        return gettext("Which one is better is not known: nobody has said what was true.")
    if known < ENOUGH:
        text = ngettext(
            "Which one is better is not known: the truth is known for %(known)s case, and %(needed)s are needed.",
            "Which one is better is not known: the truth is known for %(known)s cases, and %(needed)s are needed.",
            known,
        )
        return text % {"known": known, "needed": ENOUGH}
    return _closer(agreement, names) if agreement.kind == "regression" else _more_right(agreement, names)


def _more_right(agreement: Agreement, names: Names) -> str:
    """A sign test: only cases where one of the two is right say which one is better (McNemar 1947).

    If the true answer of a case is unknown, either version may be right, so a count is a range. The verdict must be the
    same at both ends.
    """
    before, after = agreement.right_alone("before"), agreement.right_alone("after")
    least, most = _leaning(before.most, after.least), _leaning(before.least, after.most)
    said = _alone(agreement, names, least if least == most else 0)
    return f"{said} {_undecided(agreement.undecided, names, least, most)}".rstrip()


def _leaning(before: int, after: int) -> int:
    """Which version is better, by how often each one is right alone: 1 the second, -1 the first, 0 not known."""
    if before + after < ENOUGH_APART or not is_one_sided(before, after):
        return 0
    return 1 if after > before else -1


def _alone(agreement: Agreement, names: Names, leaning: int) -> str:
    before, after = agreement.right_alone("before").least, agreement.right_alone("after").least
    apart = before + after
    if not leaning and apart < ENOUGH_APART:
        text = gettext("Neither is known to be better: only one of the two was right in %(apart)s of %(of)s cases.")
        return text % {"apart": apart, "of": len(agreement.known)}
    shown = {"after": names.after, "share": count_of_text(after, apart)}
    if not leaning:
        text = gettext(
            "Neither is known to be better: where only one of the two was right, %(after)s was so in %(share)s."
        )
        return text % shown
    text = gettext(
        "%(better)s is probably the better one for cases like these: where only one of the two was right, %(after)s was"
        " so in %(share)s."
    )
    return text % {**shown, "better": _capital(names.after if leaning > 0 else names.before)}


def _undecided(count: int, names: Names, least: int, most: int) -> str:
    """A sentence about the cases whose true answer is unknown; empty if there is none."""
    if not count:
        return ""
    text = ngettext(
        "In %(count)s more case people said that %(before)s was wrong, and nobody said what was true.",
        "In %(count)s more cases people said that %(before)s was wrong, and nobody said what was true.",
        count,
    )
    said = text % {"count": count, "before": names.before}
    if least != most:
        return f"{said} {gettext('The true answers could change this verdict.')}"
    return f"{said} {gettext('No true answer could change this verdict.')}" if least else said


def _closer(agreement: Agreement, names: Names) -> str:
    """A sign test of which number is closer to the truth. It is exact for any distribution of the errors.

    An interval of the mean error is not: a few large errors decide it, which the sample may not have. So the mean only
    keeps a version from being called better whose few errors outweigh.
    """
    before, after = agreement.closer("before"), agreement.closer("after")
    saved = mean(agreement.errors("before")) - mean(agreement.errors("after"))
    leaning = _leaning(before, after)
    shown = {"after": names.after, "share": count_of_text(after, before + after), "of": len(agreement.known)}
    if leaning * saved <= 0:
        text = gettext("Neither is known to be better, by %(of)s cases whose truth is known.")
        return text % shown
    text = gettext(
        "%(better)s is probably the better one for cases like these: where one of the two was closer to the truth,"
        " %(after)s was so in %(share)s. Its mean error is smaller by %(saved)s, by %(of)s cases whose truth is known."
    )
    better = _capital(names.after if leaning > 0 else names.before)
    return text % {**shown, "better": better, "saved": number_text(abs(saved))}


def _capital(name: str) -> str:
    return f"{name[:1].upper()}{name[1:]}"


def quicker(times: Sequence[tuple[float, float]], names: Names) -> str:
    """The quicker version, by the ratio of the two times of each row, which were measured one after the other."""
    ratios = median_of([after / before for before, after in times if before > 0]) if times else None
    if ratios is None or ratios.low is None or ratios.high is None or ratios.of < ENOUGH:
        return gettext("Too few rows were timed to say which one is quicker: %(count)s.") % {"count": len(times)}
    if ratios.low <= 1 <= ratios.high:
        return gettext("Neither is known to be quicker, by %(count)s rows.") % {"count": ratios.of}
    text = gettext("A row alone takes %(after)s %(low)s to %(high)s times as long as %(before)s, by %(count)s rows.")
    shown = {"after": names.after, "before": names.before, "count": ratios.of}
    return text % {**shown, "low": number_text(ratios.low), "high": number_text(ratios.high)}
