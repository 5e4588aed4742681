"""PyTorch: a script of the user's, or a TorchScript model alone. torch comes with the script's requirements.txt or the server's environment."""

from __future__ import annotations

from colonnade.runtimes import Runtime

RUNTIME = Runtime(
    name="pytorch",
    repositories=("pytorch-inference", "pytorch-training", "sagemaker-pytorch"),
    libraries=("torch",),
    framework_module="sagemaker_pytorch_container.training:main",
)
