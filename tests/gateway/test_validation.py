"""The model's constraints, in AWS's words. Shapes are SageMaker's own, so a change of a model shows here."""

from __future__ import annotations

from typing import Any

import pytest

from colonnade.kernel import models
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.patterns import java_pattern
from colonnade.kernel.validation import validate

NAME = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


def message(service: str, operation: str, parameters: dict[str, Any]) -> str:
    shape = models.operation(service, operation).input_shape
    assert shape is not None
    with pytest.raises(ServiceError) as caught:
        validate(shape, parameters)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_a_path_goes_through_lists_in_lower_camel_case() -> None:
    variant = {"VariantName": "a", "ModelName": "no_underscore", "InstanceType": "ml.m5.large"}

    found = message(
        "sagemaker", "CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    )

    assert found.startswith(
        "1 validation error detected: Value 'no_underscore' at 'productionVariants.1.member.modelName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
    )


def test_several_problems_are_told_at_once() -> None:
    found = message(
        "sagemaker", "ListEndpoints", {"MaxResults": 101, "SortOrder": "Sideways", "NameContains": "a b"}
    )

    assert found == (
        "3 validation errors detected: Value '101' at 'maxResults' failed to satisfy constraint: Member must have value "
        "less than or equal to 100; Value 'Sideways' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum "
        "value set: [Ascending, Descending]; Value 'a b' at 'nameContains' failed to satisfy constraint: Member must "
        "satisfy regular expression pattern: [a-zA-Z0-9-]+"
    )


def test_what_is_missing_is_null() -> None:
    found = message("sagemaker", "DescribeEndpoint", {})

    assert found == (
        "1 validation error detected: Value null at 'endpointName' failed to satisfy constraint: Member must not be null"
    )


def test_lengths_of_texts_lists_and_maps_are_checked() -> None:
    parameters = {
        "ExperimentName": "e" * 121,
        "Tags": [{"Key": "", "Value": "v"}, {"Key": "k"}] + [{"Key": str(n), "Value": ""} for n in range(49)],
    }

    found = message("sagemaker", "CreateExperiment", parameters)

    assert (
        "at 'experimentName' failed to satisfy constraint: Member must have length less than or equal to 120"
        in found
    )
    assert "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50" in found
    assert (
        "Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater"
        in found
    )
    assert (
        "Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null" in found
    )


def test_keys_and_values_of_maps_are_checked() -> None:
    model: dict[str, Any] = {
        "ModelName": "m",
        "PrimaryContainer": {"Environment": {"1st": "v", "OK": "x" * 1_000_000}},
    }

    found = message("sagemaker", "CreateModel", model)

    assert (
        "at 'primaryContainer.environment' failed to satisfy constraint: Map keys must satisfy constraint: ["
        in found
    )
    assert (
        "at 'primaryContainer.environment.OK.member' failed to satisfy constraint: Member must have length"
        in found
    )


def test_a_secret_is_not_repeated() -> None:
    found = message("iam", "CreateLoginProfile", {"UserName": "ann", "Password": "p" * 200})

    assert "ppp" not in found
    assert "Value '***' at 'password'" in found


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        (NAME, ["a", "a-b", "A" * 63], ["", "-a", "a-", "a_b", "a\n", "é"]),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", ["", "Ünï cödé 1", "漢字"], ["a&b", "<"]),
        (r"\p{ASCII}*", ["abc ~"], ["é"]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", ["a😀\n"], ["\x00"]),
        (r"[\w-_]*", ["a-b_c"], ["a b"]),
        (r"[\P{C}]+", ["a"], ["\x00"]),
        (r"^(https|s3)://([^/]+)/?(.*)$", ["s3://b/k"], ["ftp://b"]),
        (r"\d+", ["12"], ["١٢"]),
    ],
)
def test_patterns_mean_what_they_mean_to_java(pattern: str, fits: list[str], fails: list[str]) -> None:
    compiled = java_pattern(pattern)
    assert compiled is not None
    assert [text for text in fits if not compiled.fullmatch(text)] == []
    assert [text for text in fails if compiled.fullmatch(text)] == []


def test_the_patterns_that_are_not_checked_are_these() -> None:
    services = [
        "sagemaker",
        "sagemaker-runtime",
        "iam",
        "sts",
        "logs",
        "lambda",
        "glue",
        "athena",
        "wellarchitected",
    ]
    skipped = {
        f"{service}:{name}"
        for service in services
        for name in models.service(service).shape_names
        if (pattern := models.service(service).shape_for(name).metadata.get("pattern"))
        and java_pattern(pattern) is None
    }

    # A quantifier after `$`, which Java reads as nothing and Python refuses.
    assert skipped == {"sagemaker:CustomerMetadataKey", "sagemaker:CustomerMetadataValue"}
