"""What a serving container does where the user's script leaves a function out: one file per framework.

Chosen by the runtime of the image, used by the replica server inside that runtime's environment. A handler set is a module
with `model`, `decode`, `predict` and `encode`; `generic` is the ground the others stand on.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast


class Handlers(Protocol):
    """Defaults for model_fn, input_fn, predict_fn and output_fn, in this order."""

    def model(self, model_dir: str) -> Any:
        """Raises NotImplementedError where there is no sensible default."""
        ...

    def saved_model(self, model_dir: str) -> Any:
        """Where there is no script at all. Only runtimes with `loads_models` have it. Raises ModelFileError."""
        ...

    def decode(self, body: str | bytes, content_type: str) -> Any:
        """Raises UnsupportedFormatError."""
        ...

    def predict(self, data: Any, model: Any) -> Any: ...

    def encode(self, prediction: Any, accept: str) -> tuple[str | bytes, str]:
        """`accept` may be a list; the first type that can be written is. Raises UnsupportedFormatError."""
        ...


class UnsupportedFormatError(ValueError):
    """A content type that the default functions cannot read or write."""

    def __init__(self, content_type: str, remedy: str) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework. Please implement {remedy}."
        )


def load(runtime: str) -> Handlers:
    """Those of a runtime, by its name; `generic` for one without a framework."""
    return cast(Handlers, import_module(f"{__name__}.{runtime.replace('-', '_')}"))
