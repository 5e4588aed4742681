"""Alarms over the wire: metrics push them from state to state, topics are told, history remembers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.conftest import ACCOUNT, REGION, Cloud
from colonnade.cloud.cloudwatch.alarm.reconciler import reconcile
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import Notifications, Principal
from colonnade.kernel.reconcile import Done
from colonnade.kernel.store import Key, Transaction

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:told"
BREACHED = {
    "MetricName": "Errors",
    "Namespace": "Mine",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


class Told:
    """Notifications that a test can read."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.broken = False

    def check(self, principal: Principal, topic_arn: str) -> None:
        if topic_arn != TOPIC:
            raise ServiceError("NotFound", f"Topic does not exist: {topic_arn}", status=404)

    def publish(
        self,
        principal: Principal,
        topic_arn: str,
        message: str,
        *,
        subject: str = "",
        within: Transaction | None = None,
    ) -> str:
        if self.broken:
            raise ServiceError("NotFound", "Topic does not exist", status=404)
        self.messages.append(json.loads(message))
        return "id"


@pytest.fixture
def told(cloud: Cloud) -> Told:
    made = Told()
    cloud.platform.provide(Notifications, made)
    # So far into a minute that the values of the one before have had their time to come.
    cloud.clock.advance(60 - cloud.clock.now() % 60 + 20)
    return made


def alarm(cloud: Cloud, name: str = "errors", **changed: Any) -> None:
    asked = {"AlarmName": name, **BREACHED, "AlarmActions": [TOPIC], "OKActions": [TOPIC], **changed}
    cloud.client("cloudwatch").put_metric_alarm(
        **{key: value for key, value in asked.items() if value is not None}
    )


def minutes(cloud: Cloud, *values: float | None) -> None:
    """A value in each of the next minutes, after each of which the alarms are looked at."""
    for value in values:
        if value is not None:
            cloud.client("cloudwatch").put_metric_data(
                Namespace="Mine", MetricData=[{"MetricName": "Errors", "Value": value}]
            )
        cloud.clock.advance(60)
        look(cloud)


def look(cloud: Cloud) -> None:
    with cloud.platform.store.read() as reader:
        keys = [row.key for row in reader.scan_types("cloudwatch", "Alarm")]
    for key in keys:
        reconcile(cloud.platform, key)


def state(cloud: Cloud, name: str = "errors") -> str:
    answer = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])
    (found,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return str(found["StateValue"])


def refusal(cloud: Cloud, operation: str, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        getattr(cloud.client("cloudwatch"), operation)(**parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_alarm_follows_its_metric_tells_its_topic_and_remembers(cloud: Cloud, told: Told) -> None:
    alarm(cloud)
    states = [state(cloud)]
    for value in (1.0, 9.0, 8.0, 0.0, 0.0):
        minutes(cloud, value)
        states.append(state(cloud))

    assert states == ["INSUFFICIENT_DATA", "OK", "OK", "ALARM", "ALARM", "OK"]
    assert [message["NewStateValue"] for message in told.messages] == ["OK", "ALARM", "OK"]
    breached = told.messages[1]
    assert (breached["AlarmName"], breached["OldStateValue"]) == ("errors", "OK")
    assert breached["AlarmArn"] == f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:errors"
    assert (
        "2 out of the last 3 datapoints [8, 9, 1] were greater than the threshold (5)"
        in breached["NewStateReason"]
    )
    assert breached["Trigger"]["MetricName"] == "Errors"
    history = cloud.client("cloudwatch").describe_alarm_history(
        AlarmName="errors", ScanBy="TimestampAscending"
    )
    summaries = [
        item["HistorySummary"]
        for item in history["AlarmHistoryItems"]
        if item["HistoryItemType"] == "StateUpdate"
    ]
    assert summaries == [
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
    ]


def test_an_alarm_on_an_expression_judges_what_it_comes_to(cloud: Cloud, told: Told) -> None:
    stat = {"Metric": {"Namespace": "Mine", "MetricName": "Errors"}, "Period": 60, "Stat": "p90"}
    own = ("MetricName", "Namespace", "Statistic", "Period")
    alarm(
        cloud,
        **dict.fromkeys(own),
        Metrics=[
            {"Id": "m", "MetricStat": stat, "ReturnData": False},
            {"Id": "e", "Expression": "m * 10", "Label": "ten times"},
        ],
        Threshold=50.0,
    )

    minutes(cloud, 6.0, 6.0)

    assert state(cloud) == "ALARM"
    (described,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert described["Metrics"][1]["Expression"] == "m * 10"


def test_missing_data_is_treated_as_the_alarm_says(cloud: Cloud, told: Told) -> None:
    for treatment in ("missing", "ignore", "breaching", "notBreaching"):
        alarm(cloud, treatment, TreatMissingData=treatment)
    minutes(cloud, 0.0, 0.0, 0.0)
    minutes(cloud, *[None] * 6)

    found = {
        treatment: state(cloud, treatment) for treatment in ("missing", "ignore", "breaching", "notBreaching")
    }

    assert found == {
        "missing": "INSUFFICIENT_DATA",
        "ignore": "OK",
        "breaching": "ALARM",
        "notBreaching": "OK",
    }


def test_a_composite_alarm_follows_those_that_it_names(cloud: Cloud, told: Told) -> None:
    client = cloud.client("cloudwatch")
    alarm(cloud, "one", AlarmActions=None, OKActions=None)
    alarm(cloud, "other", AlarmActions=None, OKActions=None, Threshold=100.0)
    client.put_composite_alarm(
        AlarmName="both", AlarmRule='ALARM("one") AND NOT ALARM("other")', AlarmActions=[TOPIC]
    )

    minutes(cloud, 9.0, 9.0)
    look(cloud)

    assert (state(cloud, "one"), state(cloud, "other"), state(cloud, "both")) == ("ALARM", "OK", "ALARM")
    assert [message["AlarmName"] for message in told.messages] == ["both"]
    children = client.describe_alarms(ChildrenOfAlarmName="both")["MetricAlarms"]
    assert [each["AlarmName"] for each in children] == ["one", "other"]
    parents = client.describe_alarms(ParentsOfAlarmName="one")["CompositeAlarms"]
    assert [each["AlarmName"] for each in parents] == ["both"]
    assert "both names it" in refusal(cloud, "delete_alarms", AlarmNames=["one"])[1]
    client.delete_alarms(AlarmNames=["one", "both"])
    assert [each["AlarmName"] for each in client.describe_alarms()["MetricAlarms"]] == ["other"]


def test_a_state_may_be_set_until_the_next_look_and_actions_may_be_off(cloud: Cloud, told: Told) -> None:
    client = cloud.client("cloudwatch")
    alarm(cloud, TreatMissingData="notBreaching")
    client.disable_alarm_actions(AlarmNames=["errors"])
    client.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="testing")
    silent = list(told.messages)
    set_by_hand = state(cloud)
    client.enable_alarm_actions(AlarmNames=["errors"])

    minutes(cloud, None)

    assert (silent, set_by_hand, state(cloud)) == ([], "ALARM", "OK")
    assert [message["NewStateValue"] for message in told.messages] == ["OK"]


def test_an_action_that_fails_is_told_by_the_history_and_changes_nothing_else(
    cloud: Cloud, told: Told
) -> None:
    alarm(cloud)
    told.broken = True

    minutes(cloud, 9.0, 9.0)

    items = cloud.client("cloudwatch").describe_alarm_history(HistoryItemType="Action")["AlarmHistoryItems"]
    assert state(cloud) == "ALARM"
    assert items[0]["HistorySummary"].startswith(f"Failed to execute action {TOPIC}")


def test_a_changed_alarm_keeps_its_state_and_its_tags(cloud: Cloud, told: Told) -> None:
    client = cloud.client("cloudwatch")
    alarm(cloud, Tags=[{"Key": "team", "Value": "ml"}])
    minutes(cloud, 9.0, 9.0)

    alarm(cloud, Threshold=6.0)

    (described,) = client.describe_alarms()["MetricAlarms"]
    assert (described["StateValue"], described["Threshold"]) == ("ALARM", 6.0)
    arn = described["AlarmArn"]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "team", "Value": "ops"}, {"Key": "a", "Value": "b"}])
    client.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "ops"}]


def test_alarms_are_found_by_name_state_and_metric_in_pages(cloud: Cloud, told: Told) -> None:
    client = cloud.client("cloudwatch")
    for number in range(7):
        alarm(cloud, f"a{number}", Period=60 if number % 2 else 300)
    client.set_alarm_state(AlarmName="a3", StateValue="ALARM", StateReason="testing")

    pages = list(client.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 3}))
    of_metric = client.describe_alarms_for_metric(Namespace="Mine", MetricName="Errors", Period=60)[
        "MetricAlarms"
    ]

    assert [len(page["MetricAlarms"]) for page in pages] == [3, 3, 1]
    assert [each["AlarmName"] for each in client.describe_alarms(StateValue="ALARM")["MetricAlarms"]] == [
        "a3"
    ]
    assert [each["AlarmName"] for each in of_metric] == ["a1", "a3", "a5"]
    assert client.describe_alarms(AlarmNamePrefix="b")["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        ({"EvaluationPeriods": None}, "MissingParameter", "EvaluationPeriods"),
        ({"Threshold": None}, "ValidationError", "Threshold"),
        ({"Statistic": None}, "ValidationError", "exactly one of Statistic"),
        ({"ExtendedStatistic": "p99"}, "ValidationError", "exactly one of Statistic"),
        ({"Statistic": None, "ExtendedStatistic": "x9"}, "InvalidParameterValue", "x9"),
        ({"TreatMissingData": "whatever"}, "ValidationError", "whatever"),
        ({"DatapointsToAlarm": 4}, "ValidationError", "DatapointsToAlarm"),
        ({"Period": 86_400, "EvaluationPeriods": 8}, "ValidationError", "604800"),
        ({"Period": 61}, "InvalidParameterValue", "61"),
        ({"AlarmActions": ["arn:aws:lambda:us-east-1:1:function:f"]}, "ValidationError", "lambda"),
        ({"AlarmActions": [f"{TOPIC}-not"]}, "NotFound", "told-not"),
        ({"ThresholdMetricId": "ad1"}, "NotImplementedException", "ThresholdMetricId"),
    ],
)
def test_alarms_that_cannot_be_are_refused(
    cloud: Cloud, told: Told, changed: dict[str, Any], code: str, text: str
) -> None:
    asked = {"AlarmName": "errors", **BREACHED, **changed}

    found = refusal(
        cloud, "put_metric_alarm", **{key: value for key, value in asked.items() if value is not None}
    )

    assert found[0] == code
    assert text in found[1]
    assert cloud.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_what_is_no_alarm_is_said_so(cloud: Cloud, told: Told) -> None:
    assert refusal(cloud, "delete_alarms", AlarmNames=["none"])[0] == "ResourceNotFound"
    assert (
        refusal(cloud, "put_composite_alarm", AlarmName="c", AlarmRule="ALARM(none)")[0] == "ResourceNotFound"
    )
    assert refusal(cloud, "put_composite_alarm", AlarmName="c", AlarmRule="ALARM(")[0] == "ValidationError"
    assert reconcile(cloud.platform, Key("aws", ACCOUNT, REGION, "cloudwatch", "Alarm", "none")) == Done()
