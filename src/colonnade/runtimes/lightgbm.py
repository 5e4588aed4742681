"""LightGBM: a booster's text file served as it is, or a script of the user's."""

from __future__ import annotations

from colonnade.runtimes import Runtime

RUNTIME = Runtime(
    name="lightgbm",
    repositories=("sagemaker-lightgbm", "lightgbm"),
    libraries=("lightgbm",),
    framework_module="sagemaker_lightgbm_container.training:main",
    loads_models=True,
)
