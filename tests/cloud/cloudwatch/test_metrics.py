"""CloudWatch over the wire: what is put comes back as the statistics that were asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.conftest import Cloud

MINE = {"Namespace": "Mine", "MetricName": "Seconds"}


def moment(cloud: Cloud, seconds: float = 0.0) -> datetime:
    """After the last full hour before now, by the server's clock."""
    return datetime.fromtimestamp(cloud.clock.now() // 3600 * 3600 - 3600 + seconds, UTC)


def put(cloud: Cloud, *data: dict[str, Any]) -> None:
    cloud.client("cloudwatch").put_metric_data(
        Namespace="Mine", MetricData=[{"MetricName": "Seconds", **each} for each in data]
    )


def statistics(cloud: Cloud, *names: str, period: int = 60, seconds: int = 3600, **more: Any) -> list[Any]:
    basic = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
    asked = {
        "Statistics": [name for name in names if name in basic],
        "ExtendedStatistics": [name for name in names if name not in basic],
    }
    answer = cloud.client("cloudwatch").get_metric_statistics(
        **MINE,
        StartTime=moment(cloud),
        EndTime=moment(cloud, seconds),
        Period=period,
        **{name: values for name, values in asked.items() if values},
        **more,
    )
    return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])


def refusal(cloud: Cloud, operation: str, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        getattr(cloud.client("cloudwatch"), operation)(**parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_values_come_back_as_the_statistics_of_their_minutes(cloud: Cloud) -> None:
    put(cloud, *({"Value": float(value), "Timestamp": moment(cloud, 5)} for value in range(1, 101)))
    put(cloud, {"Values": [1.0, 3.0], "Counts": [3.0, 1.0], "Timestamp": moment(cloud, 60)})

    first, second = statistics(
        cloud, "SampleCount", "Average", "Sum", "Minimum", "Maximum", "p90", "tm(10%:90%)"
    )

    assert (first["SampleCount"], first["Sum"], first["Average"]) == (100, 5050, 50.5)
    assert (first["Minimum"], first["Maximum"], first["Unit"]) == (1, 100, "None")
    assert first["ExtendedStatistics"]["p90"] == pytest.approx(90, rel=0.01)
    assert first["ExtendedStatistics"]["tm(10%:90%)"] == pytest.approx(50.5, rel=0.01)
    assert (second["SampleCount"], second["Average"]) == (4, 1.5)
    assert first["Timestamp"] == moment(cloud)


def test_a_period_takes_its_minutes_together_also_their_percentiles(cloud: Cloud) -> None:
    put(cloud, *({"Value": float(n), "Timestamp": moment(cloud, 60 * (n % 10))} for n in range(1, 1001)))

    (whole,) = statistics(cloud, "Sum", "p50", "p99.9", period=3600)

    assert whole["Sum"] == 500500
    assert whole["ExtendedStatistics"]["p50"] == pytest.approx(500, rel=0.01)
    assert whole["ExtendedStatistics"]["p99.9"] == pytest.approx(999, rel=0.01)


def test_statistic_sets_have_totals_and_no_percentiles(cloud: Cloud) -> None:
    summary = {"SampleCount": 4.0, "Sum": 20.0, "Minimum": 1.0, "Maximum": 9.0}
    put(cloud, {"StatisticValues": summary, "Timestamp": moment(cloud)})

    (point,) = statistics(cloud, "Average", "Maximum", "p50")

    assert (point["Average"], point["Maximum"]) == (5, 9)
    assert "ExtendedStatistics" not in point


def test_units_and_dimensions_tell_metrics_apart(cloud: Cloud) -> None:
    blue = [{"Name": "Variant", "Value": "blue"}, {"Name": "Endpoint", "Value": "e"}]
    put(cloud, {"Value": 1.0, "Timestamp": moment(cloud), "Unit": "Seconds"})
    put(cloud, {"Value": 2.0, "Timestamp": moment(cloud), "Unit": "Count"})
    put(cloud, {"Value": 4.0, "Timestamp": moment(cloud), "Dimensions": blue})

    assert [point["Sum"] for point in statistics(cloud, "Sum", Unit="Seconds")] == [1]
    assert sorted(point["Sum"] for point in statistics(cloud, "Sum")) == [1, 2]
    assert [point["Sum"] for point in statistics(cloud, "Sum", Dimensions=blue[::-1])] == [4]
    assert statistics(cloud, "Sum", Dimensions=blue[:1]) == []


def test_metrics_are_listed_by_what_they_have_in_pages(cloud: Cloud) -> None:
    client = cloud.client("cloudwatch")
    client.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {"MetricName": "M", "Value": 1.0, "Dimensions": [{"Name": "N", "Value": f"{number:04}"}]}
            for number in range(700)
        ],
    )
    client.put_metric_data(Namespace="Other", MetricData=[{"MetricName": "M", "Value": 1.0}])
    old = cloud.clock.now() - 4 * 3600
    client.put_metric_data(
        Namespace="Other", MetricData=[{"MetricName": "Old", "Value": 1.0, "Timestamp": old}]
    )

    pages = list(client.get_paginator("list_metrics").paginate(Namespace="Mine"))
    one = client.list_metrics(Dimensions=[{"Name": "N", "Value": "0003"}])["Metrics"]
    recent = client.list_metrics(Namespace="Other", RecentlyActive="PT3H")["Metrics"]

    assert [len(page["Metrics"]) for page in pages] == [500, 200]
    assert one == [{"Namespace": "Mine", "MetricName": "M", "Dimensions": [{"Name": "N", "Value": "0003"}]}]
    assert [metric["MetricName"] for metric in recent] == ["M"]
    assert len(client.list_metrics(Namespace="Other")["Metrics"]) == 2


def test_several_metrics_come_at_once_in_pages_of_points(cloud: Cloud) -> None:
    put(cloud, *({"Value": float(n), "Timestamp": moment(cloud, 60 * n)} for n in range(10)))
    client = cloud.client("cloudwatch")
    query = {"MetricStat": {"Metric": MINE, "Period": 60, "Stat": "Sum"}}
    asked = {
        "MetricDataQueries": [{"Id": "a", **query}, {"Id": "b", "Label": "B", **query}],
        "StartTime": moment(cloud),
        "EndTime": moment(cloud, 3600),
    }

    newest = client.get_metric_data(**asked)["MetricDataResults"]
    pages = list(
        client.get_paginator("get_metric_data").paginate(
            **asked, ScanBy="TimestampAscending", MaxDatapoints=8
        )
    )

    assert [result["Values"] for result in newest] == [[float(n) for n in range(9, -1, -1)]] * 2
    assert [result["Label"] for result in newest] == ["Seconds", "B"]
    assert newest[0]["Timestamps"][0] == moment(cloud, 540)
    assert [[len(result["Values"]) for result in page["MetricDataResults"]] for page in pages] == [
        [8, 0],
        [2, 6],
        [0, 4],
    ]
    assert pages[0]["MetricDataResults"][0]["StatusCode"] == "PartialData"
    assert pages[2]["MetricDataResults"][1]["StatusCode"] == "Complete"


def test_high_resolution_is_a_second(cloud: Cloud) -> None:
    at = moment(cloud, 3000)
    for second in range(3):
        put(cloud, {"Value": 1.0, "Timestamp": at + timedelta(seconds=second), "StorageResolution": 1})

    client = cloud.client("cloudwatch")
    asked = {**MINE, "StartTime": at, "EndTime": at + timedelta(seconds=60), "Statistics": ["Sum"]}

    assert len(client.get_metric_statistics(**asked, Period=1)["Datapoints"]) == 3
    assert [point["Sum"] for point in client.get_metric_statistics(**asked, Period=60)["Datapoints"]] == [3]


@pytest.mark.parametrize(
    ("datum", "code", "text"),
    [
        ({}, "MissingParameter", "MetricData.member.1.Value is required"),
        (
            {"Value": 1.0, "Values": [1.0]},
            "InvalidParameterCombination",
            "MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive",
        ),
        ({"Value": float("nan")}, "InvalidParameterValue", "MetricData.member.1.Value is invalid"),
        ({"Value": 1e200}, "InvalidParameterValue", "1e+200"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue", "2 Values and 1 Counts"),
        ({"Value": 1.0, "StorageResolution": 5}, "InvalidParameterValue", "StorageResolution"),
        ({"Value": 1.0, "Timestamp": datetime(1999, 1, 1, tzinfo=UTC)}, "InvalidParameterValue", "two weeks"),
        (
            {"Value": 1.0, "Dimensions": [{"Name": "N", "Value": "a"}] * 2},
            "InvalidParameterValue",
            "given twice",
        ),
    ],
)
def test_data_that_cannot_be_is_refused_and_nothing_of_the_call_is_kept(
    cloud: Cloud, datum: dict[str, Any], code: str, text: str
) -> None:
    whole = [{"MetricName": "M", **datum}, {"MetricName": "M", "Value": 1.0}]

    found = refusal(cloud, "put_metric_data", Namespace="Mine", MetricData=whole)

    assert found[0] == code
    assert text in found[1]
    assert cloud.client("cloudwatch").list_metrics()["Metrics"] == []


def test_the_platforms_own_namespaces_are_not_for_users(cloud: Cloud) -> None:
    data = [{"MetricName": "M", "Value": 1.0}]

    code, text = refusal(cloud, "put_metric_data", Namespace="AWS/SageMaker", MetricData=data)

    assert (code, "AWS/SageMaker" in text) == ("InvalidParameterValue", True)


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        ({"Statistics": []}, "MissingParameter", "At least one"),
        ({"Period": 45}, "InvalidParameterValue", "45"),
        ({"Statistics": [], "ExtendedStatistics": ["q9"]}, "InvalidParameterValue", "q9"),
        ({"Statistics": [], "ExtendedStatistics": ["p101"]}, "InvalidParameterValue", "p101"),
        ({"StartTime": 3600, "EndTime": 3600}, "InvalidParameterCombination", "must be less than"),
        ({"StartTime": 0, "EndTime": 1441 * 60}, "InvalidParameterCombination", "up to 1,441 datapoints"),
    ],
)
def test_questions_that_cannot_be_are_refused(
    cloud: Cloud, changed: dict[str, Any], code: str, text: str
) -> None:
    times = {
        name: moment(cloud, changed.get(name, default))
        for name, default in (("StartTime", 0), ("EndTime", 60))
    }
    asked = {**MINE, "Period": 60, "Statistics": ["Sum"], **changed, **times}
    asked = {name: value for name, value in asked.items() if value != []}

    found = refusal(cloud, "get_metric_statistics", **asked)

    assert found[0] == code
    assert text in found[1]


def test_a_user_needs_permission_and_sees_no_other_account(cloud: Cloud) -> None:
    stranger = cloud.client("cloudwatch", cloud.user("stranger"))

    with pytest.raises(ClientError, match="cloudwatch:ListMetrics"):
        stranger.list_metrics()


def test_expressions_are_evaluated_over_the_other_queries(cloud: Cloud) -> None:
    put(cloud, *({"Value": float(n), "Timestamp": moment(cloud, 60 * n)} for n in (0, 1, 2, 4)))
    stat = {"Metric": MINE, "Period": 60, "Stat": "Sum"}

    def results(*queries: dict[str, Any]) -> dict[str, list[float]]:
        answer = cloud.client("cloudwatch").get_metric_data(
            MetricDataQueries=list(queries),
            StartTime=moment(cloud),
            EndTime=moment(cloud, 300),
            ScanBy="TimestampAscending",
        )
        return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}

    found = results(
        {"Id": "m", "MetricStat": stat, "ReturnData": False},
        {"Id": "twice", "Expression": "m * 2"},
        {"Id": "filled", "Expression": "FILL(twice, -1)"},
    )

    assert found == {"twice": [0, 2, 4, 8], "filled": [0, 2, 4, -1, 8]}
    for expression, text in (("b", "rests on itself"), ("AVG(m)", "comes to a number"), ("m +", "too early")):
        with pytest.raises(ClientError, match=text):
            results({"Id": "m", "MetricStat": stat}, {"Id": "b", "Expression": expression})
