"""A client of OpenAPI Generator, generated as `foretell_generated`: predict, read, list, and a refusal."""

import json
import sys

URL, FOLDER, ROW = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, FOLDER)

from foretell_generated import (  # noqa: E402 - generated into the folder
    ApiClient,
    Configuration,
    ModelsApi,
    OneRow,
    OneRowFeatures,
    PredictionsApi,
    PredictRequest,
)
from foretell_generated.exceptions import ApiException  # noqa: E402


def request(row: list[float]) -> PredictRequest:
    return PredictRequest(OneRow(features=OneRowFeatures(row)))


with ApiClient(Configuration(host=URL)) as client:
    predictions = PredictionsApi(client)
    said = predictions.create_prediction("iris", prefer="wait=20", predict_request=request(ROW)).actual_instance
    try:
        predictions.create_prediction("iris", predict_request=request(ROW[:2]))
        refused = "not refused"
    except ApiException as error:
        refused = json.loads(error.body)["code"]
    print(
        json.dumps(
            {
                "models": sorted(model.name for model in ModelsApi(client).list_models().results),
                "label": said.output.actual_instance.label,
                "read": predictions.read_prediction(said.id).output.actual_instance.label,
                "typed": callable(predictions.create_prediction_iris),
                "refused": refused,
            }
        )
    )
