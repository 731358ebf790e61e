from django.apps import AppConfig


class PredictionsConfig(AppConfig):
    name = "predictions"

    def ready(self) -> None:
        # Django registers checks and lookups once the apps are loaded.
        from predictions import checks  # noqa: F401, PLC0415
        from predictions.models.text_lookups import register_lookups  # noqa: PLC0415

        register_lookups()
