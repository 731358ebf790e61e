"""Run by `python litserve_app.py PORT API_SERVERS`. The variable ARTEFACTS names the folder of `<name>.joblib`."""

import os
import sys
from pathlib import Path
from typing import Any

import joblib
import litserve
import numpy as np


class Predictions(litserve.LitAPI):
    def setup(self, device: str) -> None:
        paths = Path(os.environ["ARTEFACTS"]).glob("*.joblib")
        self.estimators = {path.stem: joblib.load(path) for path in paths}

    def decode_request(self, request: dict[str, Any]) -> tuple[str, list[float]]:
        return request["model"], request["features"]

    def batch(self, inputs: list[tuple[str, list[float]]]) -> list[tuple[str, list[float]]]:
        return inputs

    def predict(self, requests: list[tuple[str, list[float]]]) -> list[float]:
        """Predict each estimator's rows of the batch in one call: a batch may mix several estimators."""
        answers = [0.0] * len(requests)
        for name in {name for name, _ in requests}:
            places = [place for place, (other, _) in enumerate(requests) if other == name]
            found = self.estimators[name].predict(np.array([requests[place][1] for place in places])).tolist()
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        return answers

    def unbatch(self, output: list[float]) -> list[float]:
        return output

    def encode_response(self, output: float) -> dict[str, float]:
        return {"prediction": output}


if __name__ == "__main__":
    port, api_servers = int(sys.argv[1]), int(sys.argv[2])
    api = Predictions(max_batch_size=32, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2, timeout=120)
    server.run(
        host="127.0.0.1", port=port, num_api_servers=api_servers, log_level="warning", generate_client_file=False
    )
