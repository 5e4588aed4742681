"""Handlers of the PyTorch container: `model.pt` as TorchScript, bodies become tensors, the model is called without gradients.

Only the replica imports torch, and late: whatever the script does not leave to these functions works without it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.runtimes.handlers import UnsupportedFormatError, codecs

_NAME = "model.pt"
_READ = (codecs.JSON, codecs.CSV, codecs.NPY)


def model(model_dir: str) -> Any:
    """What torch.jit.save wrote. Raises FileNotFoundError, ValueError."""
    torch = _torch()
    path = Path(model_dir, _NAME)
    if not path.is_file():
        raise FileNotFoundError(
            f"Failed to load model with default model_fn: missing file {path}. Put a TorchScript model under that name "
            "(torch.jit.save), or provide a model_fn."
        )
    try:
        loaded = torch.jit.load(str(path), map_location=_device(torch))
    except RuntimeError as error:
        raise ValueError(
            f"Failed to load {path} as TorchScript: save it with torch.jit.save, or provide a model_fn ({error})."
        ) from error
    return loaded.eval()


def decode(body: str | bytes, content_type: str) -> Any:
    """Text types become float32 tensors; npy keeps its type."""
    kind = codecs.media_type(content_type)
    if kind not in _READ:
        raise UnsupportedFormatError(content_type, "input_fn to deserialize the request data")
    torch = _torch()
    array = codecs.decode(body, content_type)
    if kind != codecs.NPY:
        array = np.asarray(array, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(array)).to(_device(torch))


def predict(data: Any, model: Any) -> Any:
    torch = _torch()
    with torch.no_grad():
        if hasattr(model, "to"):
            model = model.to(_device(torch))
        if hasattr(model, "eval"):
            model.eval()
        return model(data)


def encode(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    if hasattr(prediction, "detach"):
        prediction = prediction.detach().cpu().numpy()
    return codecs.encode(prediction, accept)


def _device(torch: Any) -> Any:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _torch() -> Any:
    try:
        return import_module("torch")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "torch is not installed here: name it in code/requirements.txt of the model's archive, or install it where the "
            "server is."
        ) from None
