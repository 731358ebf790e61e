"""The versions of a model side by side: how good each is, what it needs, and its history."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from predictions.models import Comparison, LifecycleEvent, ModelVersion, RegisteredModel
from predictions.models.lifecycle_event import Action
from predictions.web.figures import METRICS, VersionPresenter
from predictions.web.localized import localized

LIBRARIES = 4
EVENTS = 50
ACTIONS: Mapping[str, str | Promise] = {
    Action.REQUESTED: gettext_lazy("promotion asked for"),
    Action.PROMOTED: gettext_lazy("promoted"),
    Action.REFUSED: gettext_lazy("refused"),
    Action.PAUSED: gettext_lazy("paused"),
    Action.RESUMED: gettext_lazy("resumed"),
    Action.ARCHIVED: gettext_lazy("archived"),
    Action.RESTORED: gettext_lazy("restored"),
    Action.ALIAS_SET: gettext_lazy("alias set"),
    Action.ALIAS_REMOVED: gettext_lazy("alias removed"),
    Action.SHADOW: gettext_lazy("shadow"),
    Action.CANARY_REQUESTED: gettext_lazy("canary asked for"),
    Action.CANARY: gettext_lazy("canary"),
}


class VersionLine(VersionPresenter):
    """One version in the comparison."""

    def __init__(self, version: ModelVersion, target: int | None = None) -> None:
        super().__init__(version, target)
        self._model: RegisteredModel = version.registered_model
        self.sha256 = version.sha256
        self.size = filesizeformat(version.manifest["bytes"])
        self.engine = (
            gettext("compiled (ONNX)") if version.manifest.get("compiled") else gettext("the estimator itself")
        )
        libraries: dict[str, str] = version.manifest["libraries"]
        ordered = sorted(libraries.items(), key=lambda pair: (pair[0] != "python", pair[0]))
        self.libraries = [f"{name} {number}" for name, number in ordered[:LIBRARIES]]

    @property
    def state(self) -> str:
        """The state in a few words, for everybody. Only analysts see the reason."""
        if self._version.is_archived:
            return gettext("archived")
        if not self._version.is_available:
            return gettext("does not serve")
        if self._model.champion_id == self._version.pk:
            return gettext("paused") if self._model.paused_reason else gettext("serving")
        if self._model.challenger_id == self._version.pk:
            return gettext("challenger")
        is_previous = self._model.previous_champion_id == self._version.pk
        return gettext("served before") if is_previous else gettext("not promoted")

    @property
    def is_serving(self) -> bool:
        serves = self._version.is_available and not self._version.is_archived and not self._model.paused_reason
        return serves and self._model.champion_id == self._version.pk

    @property
    def choices(self) -> list[tuple[str, str]]:
        if self._model.champion_id == self._version.pk:
            return []
        if self._version.is_archived:
            return [(f"restore:{self.number}", self._named(gettext("Bring version %(number)s back")))]
        is_back = self._model.previous_champion_id == self._version.pk
        promote = gettext("Roll back to version %(number)s") if is_back else gettext("Let version %(number)s serve")
        archive = gettext("Archive version %(number)s")
        return [(f"promote:{self.number}", self._named(promote)), (f"archive:{self.number}", self._named(archive))]

    def _named(self, text: str) -> str:
        return text % {"number": self.number}

    @property
    def can_be_named(self) -> bool:
        return not self._version.is_archived

    @property
    def aliases(self) -> str:
        """All aliases of this version. Those that operators have set come last."""
        built_in = {
            "champion": self._model.champion_id,
            "challenger": self._model.challenger_id,
            "previous": self._model.previous_champion_id,
        }
        own = [alias.name for alias in self._version.aliases.all()]
        return ", ".join([name for name, pk in built_in.items() if pk == self._version.pk] + own)

    def metric(self, name: str) -> str:
        return self._value(name, METRICS[name][1]) if name in self._measured else gettext("not measured")


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
        """The changes that an operator can make now: the form's value for each, and its label."""
        found = [choice for line in self.lines for choice in line.choices]
        is_paused = bool(self._model.paused_reason)
        resume, pause = gettext("Accept predictions again"), gettext("Accept no new predictions")
        choice = ("resume", resume) if is_paused else ("pause", pause)
        return [{"value": value, "text": text} for value, text in [*found, choice]]


class ChallengerPresenter:
    """The version that is compared with the one that serves, and its current work."""

    def __init__(self, model: RegisteredModel, challenger: ModelVersion) -> None:
        self.number = challenger.number
        self.canary_percent = model.canary_percent
        shadow = Comparison.objects.shadow_of(challenger)
        self.shadow_percent = shadow.percent if shadow else 0
        self.comparison_url = reverse("comparison", args=[model.name, challenger.number])

    @property
    def sentences(self) -> list[str]:
        """The current work of the challenger, in sentences."""
        shadow, canary = gettext("It answers no predictions again."), gettext("It answers no callers.")
        if self.shadow_percent:
            shadow = gettext("It answers %(share)s %% of the predictions again, and no caller sees that.")
        if self.canary_percent:
            canary = gettext("It answers %(share)s %% of the callers, always the same ones.")
        return [shadow % {"share": self.shadow_percent}, canary % {"share": self.canary_percent}]


def challenger_of(model: RegisteredModel) -> ChallengerPresenter | None:
    return ChallengerPresenter(model, model.challenger) if model.challenger else None


def own_aliases(model: RegisteredModel) -> list[str]:
    """The aliases that an operator can remove."""
    names = list(model.aliases.values_list("name", flat=True))
    return ["challenger", *names] if model.challenger_id else names


def _metrics(lines: Sequence[VersionLine]) -> list[dict[str, Any]]:
    """A line for each metric that any of the versions has; with several targets, for each target and metric."""
    parts = [{part.target_name: part for part in line.parts} for line in lines]
    targets = dict.fromkeys(name for named in parts for name in named)
    return [
        {
            "label": ": ".join(word for word in (target, str(METRICS[name][0])) if word),
            "help": str(METRICS[name][2]),
            "values": [named[target].metric(name) if target in named else gettext("not measured") for named in parts],
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
    """The newest changes, the newest first: what was changed, by whom and why."""
    found = LifecycleEvent.objects.filter(registered_model=model).select_related("version")[:EVENTS]
    return [
        {
            "at": event.at,
            "action": _action(event),
            "version": event.version.number if event.version else None,
            "actor": event.actor,
            "reason": localized(event.reason) if event.action == Action.REFUSED else event.reason,
        }
        for event in found
    ]


def _action(event: LifecycleEvent) -> str:
    """The action as text, with the alias or the share that it changed."""
    said = str(ACTIONS[event.action])
    share = "" if event.percent is None else f"{event.percent} %" if event.percent else gettext("stopped")
    return ": ".join(part for part in (said, event.alias or share) if part)
