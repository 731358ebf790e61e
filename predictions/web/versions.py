"""The versions of a model side by side: how good each is, what it needs, and what became of it."""

from collections.abc import Sequence
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from predictions.models import Comparison, LifecycleEvent, ModelVersion, RegisteredModel
from predictions.web.figures import METRICS, VersionPresenter

LIBRARIES = 4
EVENTS = 50


class VersionLine(VersionPresenter):
    """One version in the comparison."""

    def __init__(self, version: ModelVersion, target: int | None = None) -> None:
        super().__init__(version, target)
        self._model: RegisteredModel = version.registered_model
        self.sha256 = version.sha256
        self.size = filesizeformat(version.manifest["bytes"])
        self.engine = "compiled (ONNX)" if version.manifest.get("compiled") else "the estimator itself"
        libraries: dict[str, str] = version.manifest["libraries"]
        self.libraries = [f"{name} {number}" for name, number in list(libraries.items())[:LIBRARIES]]

    @property
    def state(self) -> str:
        """In one word for everybody; the reason is for analysts."""
        if self._version.is_archived:
            return "archived"
        if not self._version.is_available:
            return "does not serve"
        if self._model.champion_id == self._version.pk:
            return "paused" if self._model.paused_reason else "serving"
        if self._model.challenger_id == self._version.pk:
            return "challenger"
        return "served before" if self._model.previous_champion_id == self._version.pk else "not promoted"

    @property
    def is_serving(self) -> bool:
        return self.state == "serving"

    @property
    def choices(self) -> list[tuple[str, str]]:
        if self._model.champion_id == self._version.pk:
            return []
        if self._version.is_archived:
            return [(f"restore:{self.number}", f"Bring version {self.number} back")]
        is_back = self._model.previous_champion_id == self._version.pk
        promote = f"Roll back to version {self.number}" if is_back else f"Let version {self.number} serve"
        return [(f"promote:{self.number}", promote), (f"archive:{self.number}", f"Archive version {self.number}")]

    @property
    def can_be_named(self) -> bool:
        return not self._version.is_archived

    @property
    def aliases(self) -> str:
        """All names to ask by, those of one's own last."""
        built_in = {
            "champion": self._model.champion_id,
            "challenger": self._model.challenger_id,
            "previous": self._model.previous_champion_id,
        }
        own = [alias.name for alias in self._version.aliases.all()]
        return ", ".join([name for name, pk in built_in.items() if pk == self._version.pk] + own)

    def metric(self, name: str) -> str:
        return self._value(name, METRICS[name][1]) if name in self._measured else "not measured"


class VersionsPresenter:
    """All versions of a model, the newest first, with the same metrics in the same order."""

    def __init__(self, model: RegisteredModel, versions: Sequence[ModelVersion]) -> None:
        for version in versions:
            version.registered_model = model
        self._model = model
        self.lines = [VersionLine(version) for version in versions]
        self.metrics = _metrics(self.lines)

    @property
    def choices(self) -> list[dict[str, str]]:
        """What an operator can change now: a value of the form, and its words."""
        found = [choice for line in self.lines for choice in line.choices]
        is_paused = bool(self._model.paused_reason)
        pause = ("resume", "Accept predictions again") if is_paused else ("pause", "Accept no new predictions")
        return [{"value": value, "text": text} for value, text in [*found, pause]]


class ChallengerPresenter:
    """The version that is compared with the one that serves, and what it does."""

    def __init__(self, model: RegisteredModel, challenger: ModelVersion) -> None:
        self.number = challenger.number
        self.canary_percent = model.canary_percent
        shadow = Comparison.objects.shadow_of(challenger)
        self.shadow_percent = shadow.percent if shadow else 0
        self.comparison_url = reverse("comparison", args=[model.name, challenger.number])

    @property
    def sentences(self) -> list[str]:
        """What it does now, for people."""
        shadow = (
            f"It answers {self.shadow_percent} % of the predictions again, and no caller sees that."
            if self.shadow_percent
            else "It answers no predictions again."
        )
        canary = (
            f"It answers {self.canary_percent} % of the callers, always the same ones."
            if self.canary_percent
            else "It answers no callers."
        )
        return [shadow, canary]


def challenger_of(model: RegisteredModel) -> ChallengerPresenter | None:
    return ChallengerPresenter(model, model.challenger) if model.challenger else None


def own_aliases(model: RegisteredModel) -> list[str]:
    """Those that an operator can remove."""
    names = list(model.aliases.values_list("name", flat=True))
    return ["challenger", *names] if model.challenger_id else names


def _metrics(lines: Sequence[VersionLine]) -> list[dict[str, Any]]:
    """A line for each metric that a version has; of several targets, for each metric of each."""
    parts = [{part.target_name: part for part in line.parts} for line in lines]
    targets = dict.fromkeys(name for named in parts for name in named)
    return [
        {
            "label": ": ".join(word for word in (target, METRICS[name][0]) if word),
            "help": METRICS[name][2],
            "values": [named[target].metric(name) if target in named else "not measured" for named in parts],
        }
        for target in targets
        for name in METRICS
        if any(target in named and name in named[target].manifest["metrics"] for named in parts)
    ]


def pending(model: RegisteredModel) -> list[int]:
    """The numbers of the versions whose promotion was asked for and is still open."""
    found = LifecycleEvent.objects.pending().filter(registered_model=model).order_by("id")
    return list(found.values_list("version__number", flat=True))


def events(model: RegisteredModel) -> list[dict[str, Any]]:
    """What was changed, by whom and why; the newest first."""
    found = LifecycleEvent.objects.filter(registered_model=model).select_related("version")[:EVENTS]
    return [
        {
            "at": event.at,
            "action": _action(event),
            "version": event.version.number if event.version else None,
            "actor": event.actor,
            "reason": event.reason,
        }
        for event in found
    ]


def _action(event: LifecycleEvent) -> str:
    """With the alias or the share that it is about."""
    said = event.get_action_display().lower()
    share = "" if event.percent is None else f"{event.percent} %" if event.percent else "stopped"
    return ": ".join(part for part in (said, event.alias or share) if part)
