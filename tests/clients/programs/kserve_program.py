"""KServe's own client: ready, metadata, one request with a tensor. Prints what it got."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

URL, ROWS = sys.argv[1], json.loads(sys.argv[2])


async def main() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    data = np.array(ROWS, dtype=np.float64)
    tensor = InferInput("input", list(data.shape), "FP64")
    tensor.set_data_from_numpy(data, binary_data=False)
    response = await client.infer(URL, InferRequest(model_name="iris", infer_inputs=[tensor]), model_name="iris")
    said = {
        "live": await client.is_server_live(URL),
        "ready": await client.is_server_ready(URL),
        "model ready": await client.is_model_ready(URL, "iris"),
        "labels": response.outputs[0].as_numpy().tolist(),
    }
    await client.close()
    print(json.dumps(said))


asyncio.run(main())
