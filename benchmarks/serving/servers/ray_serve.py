"""Ray Serve: one deployment, the request's body as it comes, in a local cluster of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(
    num_replicas=int(os.environ["WORKERS"]), max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.1}
)
class Scores:
    def __init__(self) -> None:
        from scoring import Model

        self.model = Model()

    async def __call__(self, request: Request) -> Response:
        return Response(self.model.answer(await request.body()), media_type="text/csv")


if __name__ == "__main__":
    here = str(Path(__file__).resolve().parent)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": here, "MODEL": os.environ["MODEL"]}},
        logging_level="warning",
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"]), "access_log": False})
    serve.run(Scores.bind(), route_prefix="/")
    while True:
        time.sleep(60)
