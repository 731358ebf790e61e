"""Each sentence about sureness appears where it is true, and not where it is false."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.serving.training import figures
from predictions.web.answer import AnswerPresenter
from predictions.web.formatting import interval_text
from predictions.web.number_input import read_number
from predictions.web.sureness import CLUSTER, OUTSIDE, UNUSUAL, USUAL

EVIDENCE = {"right": 152, "of": 154}
CLEAR = "A clear case: only benign fits. The true answer fits in about 9 in 10 cases like those it was tested on."
SEVERAL = (
    "The model cannot tell between benign and malignant."
    " The true answer is among them in about 9 in 10 cases like those it was tested on."
)
NONE_FITS = (
    "The model is unusually unsure. The true answer fits well enough in about 9 in 10 cases like those it was tested"
    " on; here no answer does."
)
TIE = "A tie: benign has 50.4 % and malignant 49.6 %. Either may be right."
SHARE = "Such answers were right in 152 of 154 cases it had not seen, and wrong in 2: more than 95 in 100 were right."


def classified(benign: float = 0.9, **facts: Any) -> dict[str, Any]:
    return {
        "kind": "classification",
        "label": "benign",
        "probabilities": {"malignant": 1 - benign, "benign": benign},
        "prediction_set": ["benign"],
        "coverage": 0.9,
        **facts,
    }


def regressed(value: float = 152.13, interval: Any = (60.2, 248.3), **facts: Any) -> dict[str, Any]:
    bounds = list(interval) if interval else None
    return {"kind": "regression", "value": value, "unit": "mm", "interval": bounds, "coverage": 0.9, **facts}


def said(output: dict[str, Any], task: str = "") -> list[str]:
    return AnswerPresenter(output, {"task": task}).sentences


# --- Classification ---------------------------------------------------------------------------------------------------
def test_clear_answer_names_the_one_class_and_how_often_it_was_wrong() -> None:
    assert said(classified(grade="clear", grade_evidence=EVIDENCE)) == [SHARE, CLEAR]


@pytest.mark.parametrize(
    "facts",
    [
        {},  # a row of an older release, which added the answer to an empty set
        {"grade": "uncertain", "prediction_set": []},
        {"grade": "uncertain", "prediction_set": ["benign", "malignant"]},
        {"grade": "outside", "prediction_set": None},
        {"grade": "clear", "prediction_set": None, "coverage": None},
        {"grade": "clear", "benign": 0.504},
    ],
)
def test_only_one_class_fits_is_not_said_where_it_is_false(facts: Any) -> None:
    assert not [sentence for sentence in said(classified(**facts)) if "clear case" in sentence or "only" in sentence]


def test_several_classes_are_named_with_how_often_the_truth_is_among_them() -> None:
    output = classified(0.7, grade="uncertain", prediction_set=["benign", "malignant"])

    assert said(output) == [SEVERAL]


@pytest.mark.parametrize("labels", [None, [], ["benign"]])
@pytest.mark.parametrize("grade", [None, "clear", "uncertain", "outside"])
def test_cannot_tell_between_is_not_said_of_fewer_than_two_classes(labels: Any, grade: Any) -> None:
    assert "cannot tell" not in " ".join(said(classified(prediction_set=labels, grade=grade)))


def test_many_classes_of_a_set_are_counted() -> None:
    labels = [f"town {number}" for number in range(40)]

    [sentence] = said(classified(grade="uncertain", label="town 3", prediction_set=labels))

    assert "town 0, town 1, town 2, town 3, town 4 and 35 more. The true" in sentence


def test_empty_set_says_that_the_model_is_unusually_unsure() -> None:
    assert said(classified(grade="uncertain", prediction_set=[])) == [NONE_FITS]


@pytest.mark.parametrize(
    ("grade", "labels"), [(None, ["benign"]), ("clear", ["benign"]), ("uncertain", ["a", "b"]), ("outside", None)]
)
def test_unusually_unsure_is_not_said_where_an_answer_fits(grade: Any, labels: Any) -> None:
    assert "unusually" not in " ".join(said(classified(grade=grade, prediction_set=labels)))


OWN_RULE = "The model answers benign by its own rule, although malignant is more probable: 89.1 % against 10.9 %."


@pytest.mark.parametrize("grade", ["clear", "uncertain", "outside", None])
def test_answer_that_is_not_the_most_probable_class_is_said_to_follow_another_rule(grade: str | None) -> None:
    assert said(classified(0.109, grade=grade, prediction_set=None))[0] == OWN_RULE


def test_likeliest_of_many_classes_is_named_where_it_is_not_the_answer() -> None:
    shares = {"benign": 0.3, "malignant": 0.35, "unclear": 0.35}

    assert said(classified(probabilities=shares, prediction_set=None)) == [
        "The model answers benign by its own rule, although malignant is more probable: 35.0 % against 30.0 %.",
        "A tie: malignant has 35.0 % and unclear 35.0 %. Either may be right.",
    ]


@pytest.mark.parametrize("benign", [0.9, 0.504, 0.5, 0.496])
def test_own_rule_is_not_said_of_the_likeliest_class_or_of_a_tie(benign: float) -> None:
    assert "own rule" not in " ".join(said(classified(benign, grade="clear")))


def test_own_rule_is_not_said_where_three_classes_tie() -> None:
    shares = {"a": 0.3334, "b": 0.3333, "benign": 0.3333}

    assert "own rule" not in " ".join(said(classified(probabilities=shares, prediction_set=None)))


def test_tie_is_said_as_a_tie() -> None:
    assert said(classified(0.504, grade="uncertain", prediction_set=["benign", "malignant"])) == [TIE, SEVERAL]


def test_equally_probable_classes_are_in_one_order_however_they_are_stored() -> None:
    stored = classified(probabilities={"plum": 0.5, "apricot": 0.5}, label="apricot", grade="uncertain")

    assert [bar["label"] for bar in AnswerPresenter(stored, {}).bars] == ["apricot", "plum"]
    assert said(stored)[0] == "A tie: apricot has 50.0 % and plum 50.0 %. Either may be right."


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ([0.3334, 0.3333, 0.3333], "A tie: a, b and c have 33.3 % each. Any of them may be right."),
        ([0.338, 0.33, 0.332], "A tie: a, c and b have 33.0 % to 33.8 % each. Any of them may be right."),
        ([0.4, 0.395, 0.205], "A tie: a has 40.0 % and b 39.5 %. Either may be right."),
        ([1 / 7] * 7, "A tie: a, b, c, d, e and 2 more have 14.3 % each. Any of them may be right."),
    ],
)
def test_tie_names_all_classes_that_are_as_probable(shares: list[float], sentence: str) -> None:
    probabilities = dict(zip("abcdefg", shares, strict=False))
    assert said(classified(probabilities=probabilities, label="a", grade="uncertain"))[0] == sentence


@pytest.mark.parametrize("benign", [0.506, 0.9, 1.0])
def test_tie_is_not_said_of_classes_that_are_apart(benign: float) -> None:
    assert "tie" not in " ".join(said(classified(benign, grade="clear")))


def test_class_without_probabilities_has_no_sentence() -> None:
    output = classified(probabilities=None, prediction_set=None, coverage=None)

    answer = AnswerPresenter(output, {})

    assert (answer.text, answer.sentences, answer.bars) == ("benign", [], [])


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        ({"right": 154, "of": 154}, "right in 154 of 154 cases it had not seen: more than 95 in 100 were right."),
        ({"right": 14, "of": 20}, "right in 14 of 20 cases it had not seen, and wrong in 6: about 7 in 10 were right."),
        ({"right": 9, "of": 11}, "right in 9 of 11 cases it had not seen, and wrong in 2."),
        ({"right": 1, "of": 1}, "right in 1 of 1 case it had not seen."),
        ({"right": 0, "of": 1}, "right in 0 of 1 case it had not seen, and wrong in 1."),
    ],
)
def test_evidence_is_counted_and_a_share_only_from_twenty_cases_on(evidence: Any, sentence: str) -> None:
    output = classified(grade="uncertain", prediction_set=[], grade_evidence=evidence)

    assert said(output)[1] == f"Such answers were {sentence}"


def test_evidence_that_was_not_gathered_is_not_given() -> None:
    assert said(classified(grade="clear", grade_evidence=None)) == [CLEAR]


def test_answer_that_no_tested_case_got_has_no_known_share() -> None:
    assert said(classified(grade="clear", grade_evidence={"right": 0, "of": 0})) == [
        "No case that it was tested on got such an answer, so how often it is right is not known.",
        CLEAR,
    ]


def test_set_without_the_answer_is_said() -> None:
    alone = classified(grade="uncertain", prediction_set=["malignant"])
    assert said(alone) == [
        "The answer itself does not fit: only malignant does. The true answer fits in about 9 in 10 cases like those it"
        " was tested on."
    ]
    several = classified(grade="uncertain", prediction_set=["malignant", "unclear"])
    assert said(several) == [
        "The model cannot tell between malignant and unclear, and its own answer is not among them. The true answer is"
        " among them in about 9 in 10 cases like those it was tested on."
    ]


def test_answer_that_fits_alone_and_is_often_wrong_is_not_called_clear() -> None:
    output = classified(grade="uncertain", grade_evidence={"right": 40, "of": 80})
    assert said(output) == [
        "Only benign fits, but answers of benign were wrong too often to call this a clear case.",
        "Such answers were right in 40 of 80 cases it had not seen, and wrong in 40: about 5 in 10 were right.",
    ]


# --- Outside ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("output", [classified, regressed])
def test_outside_is_warned_of_and_has_neither_set_nor_interval(output: Any) -> None:
    answer = AnswerPresenter(output(grade="outside"), {})

    assert (answer.is_outside, answer.warning) == (True, OUTSIDE)
    assert (answer.sentences, answer.interval, answer.line, answer.standing) == ([], None, None, "")
    assert not [bar for bar in answer.bars if bar["in_set"]]


def test_outside_gives_the_evidence_that_there_is() -> None:
    answer = AnswerPresenter(classified(grade="outside", prediction_set=None, grade_evidence={"right": 3, "of": 8}), {})

    assert answer.sentences == ["Answers for such values were right in 3 of 8 cases it had not seen, and wrong in 5."]


@pytest.mark.parametrize("grade", [None, "clear", "uncertain"])
@pytest.mark.parametrize("output", [classified, regressed])
def test_outside_is_not_said_of_other_answers(output: Any, grade: Any) -> None:
    answer = AnswerPresenter(output(grade=grade), {})

    assert (answer.is_outside, answer.warning) == (False, "")


# --- Regression -------------------------------------------------------------------------------------------------------
def test_number_follows_the_digits_of_its_interval_which_is_rounded_outwards() -> None:
    answer = AnswerPresenter(regressed(), {})

    assert (answer.value_text, answer.text) == ("150", "about 150 mm")
    assert answer.sentences == [
        "The true value lies between 60 and 250 in about 9 in 10 cases like those it was tested on."
    ]


def test_interval_as_wide_as_floats_allow_is_written_and_not_drawn() -> None:
    answer = AnswerPresenter(regressed(0.0, (-1.7e308, 1.7e308)), {})

    assert (answer.interval_text, answer.line) == ("\N{MINUS SIGN}1.7e308 to 1.7e308", None)


def test_number_gives_the_evidence_of_its_interval() -> None:
    assert said(regressed(grade="clear", grade_evidence={"right": 118, "of": 131}))[1] == (
        "In 118 of 131 cases it had not seen, the true value lay inside such an interval."
    )


@pytest.mark.parametrize("facts", [{"interval": None}, {"coverage": None}, {"grade": "outside"}])
def test_interval_is_not_promised_where_there_is_none(facts: Any) -> None:
    assert said(regressed(**facts)) == []


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.floats(1e-6, 1e9))
def test_interval_that_is_shown_holds_the_one_that_was_computed(value: float, below: float, above: float) -> None:
    low, high = value - below, value + above
    _, *shown = interval_text(value, low, high)

    assert float(read_number(shown[0])) <= low + abs(low) * 1e-12
    assert float(read_number(shown[1])) >= high - abs(high) * 1e-12


# --- The number line, and where a number stands -----------------------------------------------------------------------
TARGETS = {"minimum": 0.0, "maximum": 100.0, "counts": [1, 4, 0, 2], "percentiles": [float(p) for p in range(101)]}


def placed(
    value: float, interval: Any = None, targets: Any = TARGETS, rows: int = 309, **facts: Any
) -> AnswerPresenter:
    manifest = {
        "target": {"name": "progress", "cases": "people"},
        "figures": {"target": targets},
        "rows": {"training": rows},
    }
    return AnswerPresenter(regressed(value, interval, **facts), manifest)


def test_line_has_the_axis_of_the_training_targets_whatever_the_answer() -> None:
    low, high = placed(15.0, (10.0, 40.0)).line, placed(80.0, (70.0, 100.0)).line

    assert low
    assert high
    assert (low.low_text, low.high_text) == (high.low_text, high.high_text) == ("0", "100")
    assert (low.value_x, low.band_x, low.band_width) == (15.0, 10.0, 30.0)
    assert [(bar.x, bar.width, bar.height, bar.count) for bar in low.bars] == [
        (0.0, 25.0, 8.0, 1), (25.0, 25.0, 32.0, 4), (50.0, 25.0, 0.0, 0), (75.0, 25.0, 16.0, 2),
    ]  # fmt: skip


def test_line_is_longer_where_the_answer_lies_beyond_the_targets() -> None:
    line = placed(120.0, (90.0, 150.0)).line

    assert line
    assert (line.low_text, line.high_text, line.value_x) == ("0", "150", 80.0)


def test_line_without_targets_holds_the_interval_with_a_third_on_both_sides() -> None:
    line = placed(15.0, (10.0, 40.0), targets=None).line

    assert line
    assert (line.low_text, line.high_text, line.bars) == ("0", "50", [])
    assert (line.band_x, line.band_width, line.value_x) == (20.0, 60.0, 30.0)


def test_number_without_a_width_and_targets_has_no_line() -> None:
    assert placed(15.0, (15.0, 15.0), targets=None).line is None
    assert placed(15.0, None, targets=None).line is None


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (17.0, "Lower than about 83 % of the 309 people in the data."),
        (83.0, "Higher than about 83 % of the 309 people in the data."),
        (-1.0, "Lower than all 309 people in the data."),
        (101.0, "Higher than all 309 people in the data."),
        (0.0, "Lower than about 99 % of the 309 people in the data."),
        (100.0, "Higher than about 99 % of the 309 people in the data."),
        (17.5, "Lower than about 82 % of the 309 people in the data."),
        (83.5, "Higher than about 83 % of the 309 people in the data."),
    ],
)
def test_number_is_compared_with_the_training_targets(value: float, sentence: str) -> None:
    assert placed(value).standing == sentence


@pytest.mark.parametrize(
    ("percentiles", "sentence"),
    [
        ([0.0] * 91 + [float(one) for one in range(1, 11)], "The same as about 90 % of the 309 people in the data."),
        ([0.0] * 31 + [float(one) for one in range(1, 71)], "Lower than about 69 % of the 309 people in the data."),
        ([-1.0] * 60 + [0.0] * 30 + [1.0] * 11, "Higher than about 59 % of the 309 people in the data."),
        ([0.0] * 101, "The same as about 99 % of the 309 people in the data."),
    ],
)
def test_number_that_many_targets_equal_is_not_compared_as_if_they_differed(
    percentiles: list[float], sentence: str
) -> None:
    distribution = {"minimum": min(percentiles), "maximum": max(percentiles), "counts": [], "percentiles": percentiles}

    assert placed(0.0, targets=distribution).standing == sentence


@pytest.mark.parametrize("facts", [{"targets": None}, {"grade": "outside"}])
def test_number_is_not_compared_where_that_is_not_known(facts: Any) -> None:
    assert placed(17.0, **facts).standing == ""


NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 2.0])


@given(st.lists(NUMBERS, min_size=30, max_size=200), NUMBERS)
def test_comparison_with_the_targets_is_true(targets: list[float], value: float) -> None:
    """The share in the sentence differs from the counted one by no more than rounding explains."""
    ranked = sorted(targets)
    percentiles = [ranked[round(p / 100 * (len(ranked) - 1))] for p in range(101)]
    distribution = {"minimum": ranked[0], "maximum": ranked[-1], "counts": [len(ranked)], "percentiles": percentiles}
    sentence = placed(value, targets=distribution).standing

    below, above = sum(one < value for one in targets), sum(one > value for one in targets)
    counted = {"Higher than": below, "Lower than": above, "The same as": len(targets) - below - above}
    word, share = re.fullmatch(r"(\w+ than|The same as) (?:about (\d+) %|all) .*", sentence).groups()  # type: ignore[union-attr]
    assert abs(int(share or 100) - counted[word] / len(targets) * 100) <= 5


@pytest.mark.parametrize(
    ("targets", "value", "sentence"),
    [
        ([1, 2, 3, 4, 5, 6, 7], 6.995, "Higher than 6 of the 7 people in the data."),
        ([1, 2, 3, 4, 5, 6, 7], 7.0, "Higher than 6 of the 7 people in the data."),
        ([1, 2, 3, 4, 5, 6, 7], 2.001, "Lower than at least 5 of the 7 people in the data."),
        ([1, 2, 3, 4, 5, 6, 7], 8.0, "Higher than all 7 people in the data."),
        ([5, 5, 5, 6], 5.0, "The same as at least 2 of the 4 people in the data."),
        ([5], 5.0, "The same as 1 of the 1 people in the data."),
    ],
)
def test_number_is_counted_among_few_targets(targets: list[float], value: float, sentence: str) -> None:
    distribution = figures.distribution(np.array(targets, dtype=float)).model_dump()

    assert placed(value, targets=distribution, rows=len(targets)).standing == sentence


HUNDREDTHS = st.integers(-(10**8), 10**8).map(lambda whole: whole / 100) | st.sampled_from([0.0, 1.0, 2.0])


@given(st.lists(HUNDREDTHS, min_size=1, max_size=99), HUNDREDTHS)
def test_count_among_few_targets_is_true(targets: list[float], value: float) -> None:
    distribution = figures.distribution(np.array(targets)).model_dump()
    sentence = placed(value, targets=distribution, rows=len(targets)).standing

    below, above = sum(one < value for one in targets), sum(one > value for one in targets)
    counted = {"Higher than": below, "Lower than": above, "The same as": len(targets) - below - above}
    word, least, said = re.fullmatch(r"(\w+ than|The same as) (at least )?(\d+|all) .*", sentence).groups()  # type: ignore[union-attr]
    count = len(targets) if said == "all" else int(said)
    assert count <= counted[word] if least else count == counted[word]


# --- Names: outliers and clusters -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("label", "task", "sentence"),
    [
        ("usual", "outliers", USUAL),
        ("unusual", "outliers", UNUSUAL),
        ("cluster 3", "clusters", CLUSTER),
    ],
)
def test_name_says_what_it_stands_for(label: str, task: str, sentence: str) -> None:
    output = classified(label=label, probabilities=None, prediction_set=None, coverage=None)

    assert said(output, task) == [sentence]
    assert said(output, "classification") == []


# --- All --------------------------------------------------------------------------------------------------------------
outputs = st.builds(
    classified,
    st.floats(0, 1),
    grade=st.sampled_from([None, "clear", "uncertain", "outside"]),
    prediction_set=st.sampled_from([None, [], ["benign"], ["benign", "malignant"]]),
    coverage=st.sampled_from([0.8, 0.9, 0.95, 0.98, None]),
    grade_evidence=st.one_of(st.none(), st.builds(lambda a, b: {"right": a, "of": a + b}, *[st.integers(0, 300)] * 2)),
)


@given(outputs)
def test_words_are_those_that_people_understand(output: dict[str, Any]) -> None:
    text = " ".join(said(output))

    assert not re.search(r"coverage|plausible|\b1 in \d|100.0 %|\b0.0 %", text)


# --- Bars -------------------------------------------------------------------------------------------------------------
def test_classes_stand_the_most_probable_first() -> None:
    output = classified(probabilities={"a": 0.0004, "b": 0.2, "benign": 0.7996})

    assert [
        (bar["label"], bar["percent"], bar["is_answer"], bar["in_set"]) for bar in AnswerPresenter(output, {}).bars
    ] == [
        ("benign", "80.0 %", True, True),
        ("b", "20.0 %", False, False),
        ("a", "< 0.1 %", False, False),
    ]


@pytest.mark.parametrize(("classes", "shown", "folded"), [(2, 2, 0), (8, 8, 0), (9, 5, 4), (400, 5, 395)])
def test_many_classes_are_folded_after_the_likeliest(classes: int, shown: int, folded: int) -> None:
    output = classified(probabilities={f"c{number}": 1 / (number + 2) for number in range(classes)})

    answer = AnswerPresenter(output, {})

    assert (len(answer.likeliest), len(answer.folded)) == (shown, folded)
    assert [bar["label"] for bar in answer.likeliest] == [f"c{number}" for number in range(shown)]


# --- The grade, and all that is spoken --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("grade", "word"),
    [("clear", "Clear"), ("uncertain", "Uncertain"), ("outside", "Outside its experience"), (None, "")],
)
def test_grade_is_a_word(grade: Any, word: str) -> None:
    assert AnswerPresenter(classified(grade=grade), {}).grade_text == word


def test_answer_is_spoken_with_its_sureness() -> None:
    manifest = {"target": {"name": "diagnosis"}}

    assert AnswerPresenter(classified(grade="clear", grade_evidence=EVIDENCE), manifest).spoken == (
        f"Diagnosis: benign. Clear. {SHARE}"
    )
    assert AnswerPresenter(classified(grade="outside"), manifest).spoken == (
        f"Outside its experience. {OUTSIDE} Diagnosis: benign."
    )
    assert AnswerPresenter(classified(prediction_set=None), manifest).spoken == "Diagnosis: benign."


@given(outputs)
def test_numbers_in_sentences_are_those_of_the_answer(output: dict[str, Any]) -> None:
    """Parse the numbers in each sentence, and compare them with the output."""
    for sentence in said(output):
        if found := re.search(r"right in (\d+) of (\d+) cases it had not seen(?:, and wrong in (\d+))?", sentence):
            right, of, wrong = (int(number or 0) for number in found.groups())
            assert (right, of) == (output["grade_evidence"]["right"], output["grade_evidence"]["of"])
            assert wrong == of - right
            if share := _share(sentence.rpartition(":")[2]):
                assert share[0] - 0.03 <= right / of <= share[1] + 0.03
        elif share := _share(sentence):
            assert share[0] - 0.03 <= output["coverage"] <= share[1] + 0.03


def _share(text: str) -> tuple[float, float] | None:
    """The lowest and highest share that a frequency such as "about 9 in 10" stands for; None if there is none."""
    found = re.search(r"(about|more than|fewer than) (\d+) in (10+)\b", text)
    if not found:
        return None
    share = int(found[2]) / int(found[3])
    return {"about": (share, share), "more than": (share, 1.0), "fewer than": (0.0, share)}[found[1]]
