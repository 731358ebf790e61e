"""The bodies of a change of what serves, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from predictions.api.serializers import ModelBody, Version
from predictions.lifecycle.replays import MOST
from predictions.use_cases.operate import CHANGES, LONGEST_REASON


class ChangeBody(serializers.Serializer[Any]):
    """`promote`, `archive`, `restore` and `alias` need a version, by its number or an alias; `alias` and `remove_alias`
    an alias; `shadow` and `canary` a percentage, of which 0 ends it; `replay` a version and how many of the last
    inputs; `pause` a reason, which those who ask are told.
    """

    change = serializers.ChoiceField(list(CHANGES))
    version = Version(required=False)
    alias = serializers.CharField(required=False, max_length=50)
    percent = serializers.IntegerField(required=False, min_value=0, max_value=100)
    last = serializers.IntegerField(required=False, min_value=1, max_value=MOST)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_REASON)


class ChangeAnswer(serializers.Serializer[Any]):
    """202 where a worker proves the version first: read the model to see when the change is made. Otherwise 200."""

    detail = serializers.CharField()
    model = ModelBody()
