"""What operators change on a model's page of versions."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from predictions.serving.schema.errors import CannotChange, InvalidInput, NotFound
from predictions.use_cases.lookup import find_model
from predictions.use_cases.operate import LONGEST_REASON, OPERATE, Change
from predictions.use_cases.operate import change as make_change
from predictions.web.localized import localized


@require_POST
@login_required
@permission_required(OPERATE, raise_exception=True)
def change(request: HttpRequest, name: str) -> HttpResponse:
    """`what` is `pause`, `resume`, or `promote`, `archive` or `restore` with a version: `promote:2`."""
    model = find_model(name)
    what, _, number = request.POST.get("what", "").partition(":")
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
    try:
        said = make_change(model, Change(what, _number(number), reason, request.user.get_username()))
    except InvalidInput as error:
        is_reason = error.problems[0].pointer == "/reason"
        messages.error(
            request, localized(error.problems[0].message) if is_reason else gettext("Choose what to change.")
        )
    except NotFound:
        messages.error(request, gettext("Choose what to change."))
    except CannotChange as refused:
        messages.error(request, localized(refused.sentence))
    else:
        messages.success(request, localized(said))
    return redirect("versions", model.name)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
