"""One endpoint with two production variants, each a model of its own."""

import sys
import time
from contextlib import ExitStack
from typing import Any

from botocore.exceptions import WaiterError

from .place import Place
from .training import SKLEARN_IMAGE, XGBOOST_IMAGE, script_uri


def deploy(place: Place, boosted: dict[str, Any], scripted: dict[str, Any], cleanup: ExitStack) -> str:
    name, sagemaker = place.stem, place.sagemaker
    script = {"SAGEMAKER_PROGRAM": "train.py", "SAGEMAKER_SUBMIT_DIRECTORY": script_uri(place)}
    models = {
        "Model-A": create_model(place, boosted, XGBOOST_IMAGE, {}, cleanup),
        "Model-B": create_model(place, scripted, SKLEARN_IMAGE, script, cleanup),
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": variant,
                "ModelName": model,
                "InstanceType": "ml.m4.xlarge",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1,
            }
            for variant, model in models.items()
        ],
    )
    cleanup.callback(sagemaker.delete_endpoint_config, EndpointConfigName=name)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    cleanup.callback(delete_endpoint, sagemaker, name)
    began = time.monotonic()
    wait_in_service(sagemaker, name)
    print(f"  endpoint {name} in service after {time.monotonic() - began:.1f} s")
    for variant, model in models.items():
        print(f"  {variant} is {model}")
    return name


def create_model(
    place: Place, job: dict[str, Any], image: str, environment: dict[str, str], cleanup: ExitStack
) -> str:
    name = job["TrainingJobName"]
    container = {
        "Image": image,
        "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
        "Environment": environment,
    }
    place.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=place.role_arn)
    cleanup.callback(place.sagemaker.delete_model, ModelName=name)
    return str(name)


def wait_in_service(sagemaker: Any, endpoint: str) -> None:
    waiter = sagemaker.get_waiter("endpoint_in_service")
    try:
        waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 1800})
    except WaiterError as error:
        last = error.last_response
        sys.exit(f"endpoint {endpoint} is {last.get('EndpointStatus')}: {last.get('FailureReason', error)}")


def shift_weights(place: Place, endpoint: str, weights: dict[str, float]) -> None:
    place.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": variant, "DesiredWeight": weight} for variant, weight in weights.items()
        ],
    )
    wait_in_service(place.sagemaker, endpoint)
    variants = place.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    print(f"  weights are now { ({v['VariantName']: v['CurrentWeight'] for v in variants}) }")


def delete_endpoint(sagemaker: Any, endpoint: str) -> None:
    sagemaker.delete_endpoint(EndpointName=endpoint)
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 600}
    )
    print(f"  endpoint {endpoint} deleted")
