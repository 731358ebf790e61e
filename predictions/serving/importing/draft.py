"""Drafts a model.toml that people can edit: what was decided, and why."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predictions.serving.artifacts.description import Example, Target, Task
from predictions.serving.importing.columns import Decision
from predictions.serving.schema.signature import Choice, Integer, Number, Text


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a model.toml, and the line on which each feature begins."""

    text: str
    lines: dict[str, int]
    target_line: int


def draft_description(
    title: str,
    summary: str,
    task: Task,
    targets: Sequence[Target],
    decisions: Sequence[Decision],
    examples: Sequence[Example],
) -> Draft:
    lines = [
        "# Drafted by manage.py register_model. Edit it freely: labels, units, help and groups show after",
        "# manage.py sync_models; everything else belongs to the next version that is registered.",
        f"title = {_text(title)}",
        f"summary = {_text(summary)}",
        f"task = {_text(task)}",
        "groups = []",
        "",
    ]
    target_line = len(lines) + 1
    for target in targets:
        lines += ["[target]" if len(targets) == 1 else "[[targets]]", f"name = {_text(target.name)}", *_labels(target)]
        if task == "regression":
            lines.append('# unit = "€"  # shown behind the value; minimum and maximum clip its interval')
    starts: dict[str, int] = {}
    for decision in decisions:
        lines.append("")
        starts[decision.feature.name] = len(lines) + 1
        lines += _feature(decision)
    for example in examples:
        lines += ["", "[[examples]]", f"title = {_text(example.title)}", "", "[examples.values]"]
        lines += [f"{_text(name)} = {_value(value)}" for name, value in example.values.items() if value is not None]
    return Draft("\n".join(lines) + "\n", starts, target_line)


def _feature(decision: Decision) -> list[str]:
    feature = decision.feature
    lines = [
        f"[[features]]  # {_comment(decision.why)}",
        f"kind = {_text(feature.kind)}",
        f"name = {_text(feature.name)}",
        f"label = {_text(feature.label)}",
    ]
    if not feature.required:
        lines.append("required = false")
    if isinstance(feature, Choice):
        lines += ["choices = [", *(f"  [{_value(value)}, {_text(label)}]," for value, label in feature.choices), "]"]
    if isinstance(feature, Text):
        lines.append(f"max_length = {feature.max_length}")
    if feature.default is not None:
        lines.append(f"default = {_value(feature.default)}")
    if isinstance(feature, Number | Integer) and decision.seen:
        lines.append(f"# The data: {_comment(decision.seen)}. minimum and maximum would refuse what lies beyond them.")
    return [*lines, *(f"# To look at: it {_comment(doubt)}" for doubt in decision.doubts)]


def _labels(target: Target) -> list[str]:
    if not target.labels:
        return []
    return ["labels = [", *(f"  [{_value(class_)}, {_text(label)}]," for class_, label in target.labels), "]"]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """A TOML string: a JSON string in which DEL is escaped too, since TOML forbids it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _comment(text: str) -> str:
    return " ".join(text.split()).replace("\x7f", "")
