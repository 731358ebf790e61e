from django.apps import AppConfig


class PredictionsConfig(AppConfig):
    name = "predictions"

    def ready(self) -> None:
        from predictions import checks  # noqa: F401, PLC0415 - Django registers checks once the apps are loaded
