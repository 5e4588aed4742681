"""LitServe: its API class. What comes and goes crosses to a process of its own, so it is JSON, not the request itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import litserve
from scoring import Model


class Scores(litserve.LitAPI):
    def setup(self, device):
        self.model = Model()

    def decode_request(self, request):
        return request["row"].encode()

    def predict(self, body: bytes) -> str:
        return self.model.answer(body).decode()

    def encode_response(self, output: str) -> dict[str, str]:
        return {"score": output}


if __name__ == "__main__":
    server = litserve.LitServer(Scores(), accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]))
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        access_log=False,
        log_level="warning",
    )
