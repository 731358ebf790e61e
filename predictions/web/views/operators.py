"""Changes that operators make on the versions page of a model."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from predictions.serving.schema.errors import CannotChange, InvalidInput, NotFound
from predictions.serving.schema.sentences import english
from predictions.use_cases.lookup import find_model
from predictions.use_cases.operate import LONGEST_REASON, OPERATE, Change
from predictions.use_cases.operate import change as make_change
from predictions.web.localized import localized

NOTHING_CHOSEN = english("Choose what to change.")


@require_POST
@login_required
@permission_required(OPERATE, raise_exception=True)
def change(request: HttpRequest, name: str) -> HttpResponse:
    """The field `what` names the change, with a version if the change needs one: `pause`, or `promote:2`."""
    model, asked = find_model(name), _asked(request)
    try:
        made = make_change(model, asked)
    except InvalidInput as error:
        messages.error(request, localized(_sentence(error)))
    except NotFound as error:
        messages.error(request, localized(error.sentence if request.POST.get("alias") else NOTHING_CHOSEN))
    except CannotChange as refused:
        messages.error(request, localized(refused.sentence))
    else:
        messages.success(request, localized(made.sentence))
        if asked.what == "replay":
            return redirect("comparison", model.name, asked.version)
    return redirect("versions", model.name)


def _asked(request: HttpRequest) -> Change:
    what, _, version = request.POST.get("what", "").partition(":")
    return Change(
        what=what,
        version=version or None,
        reason=request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON],
        actor=request.user.get_username(),
        alias=request.POST.get("alias", "").strip(),
        percent=_number(request.POST.get("percent", "")),
        last=_number(request.POST.get("last", "")),
    )


def _sentence(error: InvalidInput) -> str:
    """The message of a problem in a field that people type in. For a wrong choice it is always NOTHING_CHOSEN."""
    problem = error.problems[0]
    return problem.message if problem.pointer in ("/reason", "/alias", "/percent", "/last") else NOTHING_CHOSEN


def _number(text: str) -> int | None:
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 10 else None
