"""Which services share a signing name, and which protocols a request may be spoken in.

A request carries its service's *signing* name in the credential scope. For most services that is the boto3 client name;
the rest is written down here, for nothing else would do without loading all of AWS's models (439 of them). Order matters: where two services share
a route (lex, greengrass), the first one is served.
"""

from __future__ import annotations

from functools import cache, lru_cache

from colonnade.kernel import models

SHARED: dict[str, tuple[str, ...]] = {
    "access-analyzer": ("accessanalyzer",),
    "airflow": ("mwaa",),
    "apigateway": ("apigateway", "apigatewayv2"),
    "bedrock": (
        "bedrock-runtime",
        "bedrock",
        "bedrock-agent",
        "bedrock-agent-runtime",
        "bedrock-data-automation",
        "bedrock-data-automation-runtime",
    ),
    "cassandra": ("keyspaces", "keyspacesstreams"),
    "cloudwatch": ("cloudwatch",),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticmapreduce": ("emr",),
    "es": ("opensearch", "es"),
    "events": ("events",),
    "execute-api": ("apigatewaymanagementapi",),
    "forecast": ("forecast", "forecastquery"),
    "geo": ("location",),
    "greengrass": ("greengrassv2",),
    "iotdata": ("iot-data",),
    "kinesisanalytics": ("kinesisanalyticsv2", "kinesisanalytics"),
    "lambda": ("lambda",),
    "lex": ("lexv2-runtime", "lexv2-models"),
    "monitoring": ("cloudwatch",),
    "personalize": ("personalize", "personalize-runtime", "personalize-events"),
    "rds": ("rds",),
    "s3": ("s3",),
    "sagemaker": (
        "sagemaker",
        "sagemaker-runtime",
        "sagemaker-featurestore-runtime",
        "sagemaker-metrics",
        "sagemaker-a2i-runtime",
        "sagemaker-edge",
        "sagemaker-inference-router-runtime",
        "sagemakerjobruntime",
        "sagemakertrainingsessionruntime",
    ),
    "servicequotas": ("service-quotas",),
    "ses": ("sesv2", "ses"),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
    "timestream": ("timestream-query", "timestream-write"),
}

SUPPORTED = frozenset({"json", "rest-json", "rest-xml", "query", "smithy-rpc-v2-cbor"})


# Bounded: the client chooses the key.
@lru_cache(maxsize=1024)
def signed_as(signing_name: str) -> tuple[str, ...]:
    """Client names of the services with this signing name; empty when AWS has none."""
    if signing_name in SHARED:
        return SHARED[signing_name]
    return (signing_name,) if models.exists(signing_name) else ()


@cache
def protocols(service: str) -> tuple[str, ...]:
    """In the model's order. Older models name one only."""
    model = models.service(service)
    return tuple(model.metadata.get("protocols") or (model.metadata["protocol"],))


@cache
def rest_protocol(service: str) -> str | None:
    """The protocol that the service's routes speak, when it has routes."""
    return next((name for name in protocols(service) if name.startswith("rest-")), None)


@lru_cache(maxsize=1024)
def speaks_query(signing_name: str) -> bool:
    return any("query" in protocols(service) for service in signed_as(signing_name))
