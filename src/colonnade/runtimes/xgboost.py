"""XGBoost: SageMaker's built-in algorithm, or the framework for a script of the user's."""

from __future__ import annotations

from colonnade.runtimes import Runtime

RUNTIME = Runtime(
    name="xgboost",
    repositories=("sagemaker-xgboost", "xgboost"),
    libraries=("xgboost",),
    framework_module="sagemaker_xgboost_container.training:main",
    algorithm="xgboost",
)
