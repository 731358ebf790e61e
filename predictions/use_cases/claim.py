"""Gives the data of a visitor to the account with which they sign in."""

from django.contrib.auth.models import User
from django.db import transaction

from predictions.models import BatchJob, Feedback, Prediction
from predictions.use_cases.callers import key_of


def claim_of_visitor(user: User, visitor: str) -> int:
    """Give the predictions, files and feedback of a visitor to `user`. Returns how many predictions and files.

    From then on only the owner and analysts see them: a link no longer shows them to others.
    """
    anonymous, own = f"visitor:{visitor}", {"owner": user, "caller": key_of(user)}
    with transaction.atomic():
        claimed = Prediction.objects.filter(caller=anonymous, owner=None).update(**own)
        claimed += BatchJob.objects.filter(caller=anonymous, owner=None).update(**own)
        Feedback.objects.filter(caller=anonymous).update(caller=key_of(user))
    return claimed
