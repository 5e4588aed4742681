"""Ordinary operations derived from the model, tried on the model of SageMaker itself."""

from __future__ import annotations

from typing import Any

import pytest

from colonnade.kernel import operations, resources
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store.memory import MemoryStore

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint-config/"


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(1000.0)
        self.platform = Platform(
            store=MemoryStore(), clock=self.clock, ids=SeededIds(), signals=LocalSignals()
        )
        self.resource = Resource(
            "sagemaker",
            "EndpointConfig",
            arn_kind="endpoint-config",
            missing=Refusal("ValidationException", 'Could not find endpoint configuration "{arn}".'),
            duplicate=Refusal(
                "ValidationException", 'Cannot create already existing endpoint configuration "{arn}".'
            ),
        )
        self.resource.serve("Create", "Describe", "List", "Delete")

    def call(self, operation: str, **parameters: Any) -> Call:
        root = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, "root")
        return Call(
            service="sagemaker",
            operation=operation,
            parameters=parameters,
            principal=root,
            platform=self.platform,
            account=ACCOUNT,
            region="us-east-1",
            request_id="r",
            now=self.clock.now(),
        )

    def do(self, operation: str, **parameters: Any) -> Result:
        return operations.find("sagemaker", operation).handler(self.call(operation, **parameters)) or {}

    def names(self, **parameters: Any) -> list[str]:
        return [
            row["EndpointConfigName"]
            for row in self.do("ListEndpointConfigs", **parameters)["EndpointConfigs"]
        ]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    for registry in ("_registered", "_resource_finders"):
        monkeypatch.setattr(operations, registry, {})
    for registry in ("_by_noun", "_by_arn_kind"):
        monkeypatch.setattr(resources, registry, {})
    return Bench()


def test_a_created_resource_is_described_with_what_the_output_shape_declares(bench: Bench) -> None:
    variants = [{"VariantName": "A", "ModelName": "m"}]
    answer = bench.do(
        "CreateEndpointConfig", EndpointConfigName="My-Config", ProductionVariants=variants, Tags=[]
    )
    assert answer == {"EndpointConfigArn": ARN + "my-config"}

    described = bench.do("DescribeEndpointConfig", EndpointConfigName="My-Config")
    assert described == {
        "EndpointConfigName": "My-Config",
        "EndpointConfigArn": ARN + "my-config",
        "ProductionVariants": variants,
        "CreationTime": 1000.0,
    }, "no tags, no private members, no empty structures"


def test_a_name_is_unique_whatever_its_case(bench: Bench) -> None:
    bench.do("CreateEndpointConfig", EndpointConfigName="one", ProductionVariants=[])
    with pytest.raises(ServiceError) as refused:
        bench.do("CreateEndpointConfig", EndpointConfigName="ONE", ProductionVariants=[])
    assert refused.value.code == "ValidationException"
    assert refused.value.message == f'Cannot create already existing endpoint configuration "{ARN}one".'


def test_what_was_deleted_is_missing_and_the_name_is_free_again(bench: Bench) -> None:
    bench.do("CreateEndpointConfig", EndpointConfigName="one", ProductionVariants=[])
    bench.do("DeleteEndpointConfig", EndpointConfigName="one")
    for operation in ("DescribeEndpointConfig", "DeleteEndpointConfig"):
        with pytest.raises(ServiceError, match=f'Could not find endpoint configuration "{ARN}one".'):
            bench.do(operation, EndpointConfigName="one")
    bench.do("CreateEndpointConfig", EndpointConfigName="one", ProductionVariants=[])


def make(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.clock.advance(1)
        bench.do("CreateEndpointConfig", EndpointConfigName=f"config-{number:02}", ProductionVariants=[])


def test_lists_come_newest_first_ten_at_a_time_where_the_model_says_so(bench: Bench) -> None:
    make(bench, 25)
    first = bench.do("ListEndpointConfigs")
    assert [row["EndpointConfigName"] for row in first["EndpointConfigs"]] == [
        f"config-{n:02}" for n in range(24, 14, -1)
    ]
    seen, token = list(first["EndpointConfigs"]), first["NextToken"]
    while token:
        page = bench.do("ListEndpointConfigs", NextToken=token)
        seen += page["EndpointConfigs"]
        token = page.get("NextToken")
    assert [row["EndpointConfigName"] for row in seen] == [f"config-{n:02}" for n in range(24, -1, -1)]


def test_filters_combine(bench: Bench) -> None:
    make(bench, 12)
    assert bench.names(NameContains="CONFIG-1", SortBy="Name", SortOrder="Ascending") == [
        "config-10",
        "config-11",
    ]
    assert bench.names(CreationTimeAfter=1011.0) == ["config-11"]
    assert bench.names(CreationTimeBefore=1002.0) == ["config-00"]


def test_a_token_is_refused_when_forged_or_used_with_other_filters(bench: Bench) -> None:
    make(bench, 12)
    token = bench.do("ListEndpointConfigs")["NextToken"]
    for wrong in ({"NextToken": "nonsense"}, {"NextToken": token, "NameContains": "x"}):
        with pytest.raises(ServiceError, match="Invalid pagination token"):
            bench.do("ListEndpointConfigs", **wrong)


def test_each_mutation_leaves_its_audit_record_and_a_refused_one_none(bench: Bench) -> None:
    bench.do("CreateEndpointConfig", EndpointConfigName="one", ProductionVariants=[])
    with pytest.raises(ServiceError):
        bench.do("CreateEndpointConfig", EndpointConfigName="one", ProductionVariants=[])
    bench.do("DeleteEndpointConfig", EndpointConfigName="one")
    with bench.platform.store.read() as reader:
        events = reader.events("audit")
    assert [event.body["eventName"] for event in events] == ["CreateEndpointConfig", "DeleteEndpointConfig"]


def test_policies_see_the_arn_that_a_call_acts_on(bench: Bench) -> None:
    describe = operations.find("sagemaker", "DescribeEndpointConfig")
    demands = operations.demands(describe, bench.call("DescribeEndpointConfig", EndpointConfigName="One"))
    assert demands == [("sagemaker:DescribeEndpointConfig", ARN + "one")]
    listing = operations.find("sagemaker", "ListEndpointConfigs")
    assert operations.demands(listing, bench.call("ListEndpointConfigs")) == [
        ("sagemaker:ListEndpointConfigs", "*")
    ]


def test_a_filter_by_what_no_document_says_finds_none(bench: Bench) -> None:
    make(bench, 2)
    call = bench.call("ListEndpointConfigs", WarmPoolStatusEquals="InUse")
    assert bench.resource.list(call) == {"EndpointConfigs": []}


def test_a_column_that_the_store_does_not_order_by_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(ServiceError, match="cannot sort by AccountIdOwner yet"):
        bench.do("ListEndpointConfigs", SortBy="AccountIdOwner")


def test_a_list_that_is_sifted_pages_through_all_rows(bench: Bench) -> None:
    make(bench, 450)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        call = bench.call("ListEndpointConfigs", MaxResults=2, **token)
        page = bench.resource.list(call, keep=lambda row: row.key.name.endswith("9"))
        seen += [row["EndpointConfigName"] for row in page["EndpointConfigs"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert len(seen) == len(set(seen)) == 45


def test_a_name_may_be_given_as_an_arn_of_its_own_kind_only(bench: Bench) -> None:
    make(bench, 1)
    described = bench.do("DescribeEndpointConfig", EndpointConfigName=ARN + "config-00")
    assert described["EndpointConfigName"] == "config-00"
    for wrong in (
        ARN.replace("endpoint-config", "model") + "config-00",
        ARN.replace(ACCOUNT, "9" * 12) + "config-00",
    ):
        with pytest.raises(ServiceError, match="Could not find endpoint configuration"):
            bench.do("DescribeEndpointConfig", EndpointConfigName=wrong)
    with pytest.raises(ServiceError, match="Invalid EndpointConfigName"):
        bench.do("DescribeEndpointConfig", EndpointConfigName="arn:nonsense")
