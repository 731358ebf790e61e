"""What operators change on a model's page of versions. The web proves nothing: see `lifecycle.changes`."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from predictions.lifecycle import changes
from predictions.models import ModelVersion, RegisteredModel
from predictions.use_cases.lookup import find_model

LONGEST_REASON = 500
OPERATE = "predictions.operate_models"


@require_POST
@login_required
@permission_required(OPERATE, raise_exception=True)
def change(request: HttpRequest, name: str) -> HttpResponse:
    """`what` is `promote:<number>`, `archive:<number>`, `restore:<number>`, `pause` or `resume`; `reason` is kept."""
    model = find_model(name)
    what, _, number = request.POST.get("what", "").partition(":")
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
    try:
        said = _change(model, what, _version(model, number), request.user.get_username(), reason)
    except changes.Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
    return redirect("versions", model.name)


def _change(model: RegisteredModel, what: str, version: ModelVersion | None, actor: str, reason: str) -> str:
    """The sentence that says what was done. Raises changes.Refused."""
    if what == "pause":
        if not reason:
            raise changes.Refused("Say why: those who ask are told it.")
        changes.pause(model, actor, reason)
        return "The model accepts no new predictions."
    if what == "resume":
        changes.resume(model, actor)
        return "The model accepts predictions again."
    if version is None:
        raise changes.Refused("Choose what to change.")
    if what == "promote":
        changes.request_promotion(version, actor, reason)
        return f"A worker proves version {version.number} now. It serves once it has reproduced its stored answers."
    if what == "archive":
        changes.archive(version, actor, reason)
        return f"Version {version.number} is archived."
    if what == "restore":
        changes.restore(version, actor)
        return f"Version {version.number} can be promoted again."
    raise changes.Refused("Choose what to change.")


def _version(model: RegisteredModel, number: str) -> ModelVersion | None:
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        return None
    found = model.versions.filter(number=int(number)).first()
    if found is not None:
        found.registered_model = model
    return found
