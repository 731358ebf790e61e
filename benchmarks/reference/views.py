from celery.result import AsyncResult
from queueing import app, predict
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


class PredictionRequest(serializers.Serializer):
    model = serializers.CharField()
    features = serializers.ListField(child=serializers.FloatField())


@api_view(["POST"])
def submit(request: Request) -> Response:
    submitted = PredictionRequest(data=request.data)
    submitted.is_valid(raise_exception=True)
    task = predict.delay(submitted.validated_data["model"], submitted.validated_data["features"])
    return Response({"task_id": task.id, "status": "PENDING"}, status=202)


@api_view(["GET"])
def result(request: Request, task_id: str) -> Response:
    task = AsyncResult(task_id, app=app)
    status = task.status
    return Response({"task_id": task_id, "status": status, "result": task.result if status == "SUCCESS" else None})


@api_view(["GET"])
def health(request: Request) -> Response:
    return Response({"status": "ok"})
