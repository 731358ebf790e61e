"""MLServer's codecs: a table becomes a request, and the answer becomes arrays. Prints the answers of two codecs."""

import json
import sys
import urllib.request

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

URL, ROWS, COLUMNS = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])


def infer(request: InferenceRequest) -> list[str]:
    body = request.model_dump_json(exclude_none=True).encode()
    asked = urllib.request.Request(f"{URL}/v2/models/iris/infer", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        response = InferenceResponse.model_validate_json(answer.read())
    return StringCodec.decode_output(response.outputs[0])


tensor = NumpyCodec.encode_input("input", np.array(ROWS, dtype=np.float64))
table = PandasCodec.encode_request(pd.DataFrame(ROWS, columns=COLUMNS))
print(json.dumps({"tensor": infer(InferenceRequest(inputs=[tensor])), "table": infer(table)}))
