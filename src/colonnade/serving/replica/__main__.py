"""`python -m colonnade.serving.replica`: load the model, then answer frames on the socket that COLONNADE_SOCKET names.

`COLONNADE_HANDLERS` says what kind of container this is: `native` for the built-in XGBoost without a script, otherwise the
name of the framework's handlers, which do all of the work with `COLONNADE_NO_SCRIPT`; with `COLONNADE_MANY` it holds many models, which come later. Whatever goes wrong before the
socket is there ends the process with the trace in its log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from colonnade.serving.frames import Answer, Request
from colonnade.serving.replica.server import Handle, Server, listen


def main(environ: Mapping[str, str]) -> None:
    base = Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    kind = environ.get("COLONNADE_HANDLERS", "generic")
    handle = (many if environ.get("COLONNADE_MANY") else single)(kind, base, environ)
    listener = listen(environ["COLONNADE_SOCKET"])
    print(f"serving with {kind} handlers", flush=True)
    Server(listener, handle).run()


def single(kind: str, base: Path, environ: Mapping[str, str]) -> Handle:
    return native(base / "model", environ) if kind == "native" else script(kind, base / "model", environ)


def many(kind: str, base: Path, environ: Mapping[str, str]) -> Handle:
    """Models that come and go; user code is the container's, or comes with each model."""
    from colonnade.serving.replica.many import Bounds, Many

    code = base / "model" / "code"
    if kind == "native":
        load = partial(native, environ=environ)
    else:
        load = partial(scripted, kind, code if code.is_dir() else None, environ)
    return Many(base / "models", load, Bounds.read(environ)).handle


def native(model_dir: Path, environ: Mapping[str, str]) -> Handle:
    from colonnade.serving.compiled.native import NativePredictor
    from colonnade.serving.compiled.predictor import InvocationError

    model = NativePredictor(model_dir, environ)
    model.check()

    def handle(request: Request) -> Answer:
        try:
            body, content_type = model.invoke(
                request.body, request.content_type or "text/csv", request.accept
            )
        except InvocationError as error:
            return Answer(error.status, str(error).encode(), "text/plain")
        return Answer(200, body, content_type)

    return handle


def script(kind: str, model_dir: Path, environ: Mapping[str, str]) -> Handle:
    from colonnade.runtimes import handlers
    from colonnade.serving.replica.script import Script, load_module

    if environ.get("COLONNADE_NO_SCRIPT"):
        nothing: Any = ModuleType("no_script")
        nothing.model_fn = handlers.load(kind).saved_model
        return Script(nothing, handlers.load(kind), str(model_dir), environ).handle
    program = environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    module = load_module(program, str(model_dir / "code"))
    return Script(module, handlers.load(kind), str(model_dir), environ).handle


def scripted(kind: str, code: Path | None, environ: Mapping[str, str], model_dir: Path) -> Handle:
    """One of many models: with the code that all of them share, or with its own."""
    from colonnade.runtimes import handlers
    from colonnade.serving.replica.script import Script, load_module, load_own_module

    program = environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    if code is None:
        module = load_own_module(program, str(model_dir / "code"))
    else:
        module = load_module(program, str(code))
    return Script(module, handlers.load(kind), str(model_dir), environ).handle


if __name__ == "__main__":
    main(os.environ)
    sys.exit(0)
