"""Our reading of AWS's models against botocore's, which every client of ours reads them with."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from colonnade.kernel import models

READ = (
    "sagemaker",
    "sagemaker-runtime",
    "s3",
    "iam",
    "sts",
    "logs",
    "cloudwatch",
    "lambda",
    "lexv2-models",
    "glue",
)
OURS_ALONE = {"fault"}
THEIRS_ALONE = {"endpointdiscoveryid", "contextParam", "clientContextParams"}


def theirs(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def assert_same_shape(ours: Any, theirs: Any) -> None:
    """One level deep: what lies below has a name, and is compared under it."""
    assert (ours.name, ours.type_name, ours.documentation) == (
        theirs.name,
        theirs.type_name,
        theirs.documentation,
    )
    assert without(ours.metadata, OURS_ALONE) == without(theirs.metadata, THEIRS_ALONE)
    assert ours.serialization == theirs.serialization
    assert ours.required_members == theirs.required_members
    for attribute in ("enum", "is_document_type"):
        assert getattr(ours, attribute) == getattr(theirs, attribute, getattr(ours, attribute))


def without(traits: Any, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in traits.items() if name not in names}


def assert_same_parts(ours: Any, theirs: Any) -> None:
    if theirs.type_name == "structure":
        assert list(ours.members) == list(theirs.members)
        for name, member in theirs.members.items():
            assert_same_shape(ours.members[name], member)
    elif theirs.type_name == "list":
        assert_same_shape(ours.member, theirs.member)
    elif theirs.type_name == "map":
        assert_same_shape(ours.key, theirs.key)
        assert_same_shape(ours.value, theirs.value)


@pytest.mark.parametrize("service", READ)
def test_every_shape_is_what_botocore_takes_it_for(service: str) -> None:
    ours, reference = models.service(service), theirs(service)

    assert ours.shape_names == reference.shape_names
    for name in reference.shape_names:
        assert_same_shape(ours.shape_for(name), reference.shape_for(name))
        assert_same_parts(ours.shape_for(name), reference.shape_for(name))
    assert [shape.name for shape in ours.error_shapes] == [shape.name for shape in reference.error_shapes]


@pytest.mark.parametrize("service", READ)
def test_every_operation_is_what_botocore_takes_it_for(service: str) -> None:
    ours, reference = models.service(service), theirs(service)

    assert (ours.signing_name, ours.protocol) == (reference.signing_name, reference.protocol)
    assert ours.operation_names == reference.operation_names
    for name in reference.operation_names:
        one, other = models.operation(service, name), reference.operation_model(name)
        for attribute in ("http", "auth_type", "endpoint", "http_checksum"):
            assert getattr(one, attribute) == getattr(other, attribute)
        for attribute in ("has_event_stream_output", "has_streaming_output"):
            assert getattr(one, attribute) == getattr(other, attribute)
        for attribute in ("input_shape", "output_shape"):
            mine, their = getattr(one, attribute), getattr(other, attribute)
            assert (mine is None) == (their is None)
            if their is not None:
                assert_same_shape(mine, their)
        assert [shape.name for shape in one.error_shapes] == [shape.name for shape in other.error_shapes]


@pytest.mark.parametrize("service", READ)
def test_pages_are_told_as_botocore_tells_them(service: str) -> None:
    try:
        reference = Loader().load_service_model(service, "paginators-1")["pagination"]
    except Exception:  # noqa: BLE001 - whichever way botocore says that there are none
        with pytest.raises(LookupError):
            models.pagination(service)
        return
    assert models.pagination(service) == reference


@pytest.mark.parametrize(
    "name", ["", "..", ".", "sagemaker/2017-07-24", "no-such-service", "partitions.json"]
)
def test_a_service_that_aws_does_not_have_is_refused(name: str) -> None:
    assert not models.exists(name)
    with pytest.raises(LookupError):
        models.service(name)
