from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.management.kept_text import kept_text
from predictions.models import ApiToken, RegisteredModel
from predictions.models.api_token import Scope


class Command(BaseCommand):
    help = "Makes an API token for a user and prints its secret, which is kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", type=kept_text, required=True, help="what will use it")
        parser.add_argument("--days", type=int, default=90, help="days that it is valid; 0: until it is revoked")
        bounds = parser.add_mutually_exclusive_group()
        bounds.add_argument("--read-only", action="store_true", help="it may read, but not predict or change")
        bounds.add_argument("--operate", action="store_true", help="it may change what serves, if the user may")
        parser.add_argument("--model", default="", help="the one model that it is for")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {options['username']!r}. Make one with createsuperuser.")
        if options["model"] and not RegisteredModel.objects.filter(name=options["model"]).exists():
            raise CommandError(f"There is no model {options['model']!r}.")
        if options["days"] < 0:
            raise CommandError("--days must be 0 or more.")
        _, secret = ApiToken.objects.create(
            user=user,
            name=options["name"],
            expiry=timedelta(days=options["days"]) if options["days"] else None,
            scope=_scope(options),
            model_name=options["model"],
        )
        self.stdout.write(secret)


def _scope(options: dict[str, Any]) -> Scope:
    if options["read_only"]:
        return Scope.READ
    return Scope.OPERATE if options["operate"] else Scope.PREDICT
