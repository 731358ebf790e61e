"""A client of openapi-python-client, generated as `foretell_generated`: predict, read, list, and a refusal."""

import json
import sys

URL, FOLDER, ROW = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, FOLDER)

from foretell_generated import Client  # noqa: E402 - generated into the folder
from foretell_generated.api.models import list_models  # noqa: E402
from foretell_generated.api.predictions import create_prediction, create_prediction_iris, read_prediction  # noqa: E402
from foretell_generated.models import OneRow, ProblemBody  # noqa: E402

client = Client(base_url=URL)
row = OneRow.from_dict({"features": ROW})
said = create_prediction.sync("iris", client=client, body=row, prefer="wait=20")
wrong = OneRow.from_dict({"features": ROW[:2]})
refused = create_prediction.sync("iris", client=client, body=wrong)
assert isinstance(refused, ProblemBody)
print(
    json.dumps(
        {
            "models": sorted(model.name for model in list_models.sync(client=client).results),
            "label": said.output.label,
            "read": read_prediction.sync(said.id, client=client).output.label,
            "typed": callable(create_prediction_iris.sync),
            "refused": refused.code,
        }
    )
)
