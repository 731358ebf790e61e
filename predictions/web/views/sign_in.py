"""Sign-in. It gives the user the predictions that this browser asked for without an account."""

from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.utils.translation import ngettext

from predictions.use_cases.claim import claim_of_visitor
from predictions.web.visitors import delete_visitor_cookie, visitor_of


class SignInView(LoginView):
    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        if visitor := visitor_of(self.request):
            claimed = claim_of_visitor(form.get_user(), visitor)
            # The next person who uses this browser without an account is somebody new.
            delete_visitor_cookie(response)
            if claimed:
                messages.success(self.request, _claimed_text(claimed))
        return response


def _claimed_text(count: int) -> str:
    text = ngettext(
        "The result that this browser asked without an account is yours now. Only you and the analysts of this service"
        " can see it.",
        "The %(count)s results that this browser asked without an account are yours now. Only you and the analysts of"
        " this service can see them.",
        count,
    )
    return text % {"count": count}
