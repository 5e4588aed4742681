"""scikit-learn: a dumped estimator served as it is, or a script of the user's."""

from __future__ import annotations

from colonnade.runtimes import Runtime

RUNTIME = Runtime(
    name="scikit-learn",
    repositories=("sagemaker-scikit-learn",),
    libraries=("scikit-learn",),
    framework_module="sagemaker_sklearn_container.training:main",
    loads_models=True,
)
