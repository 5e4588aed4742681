"""GetMetricData: several metrics at once, in pages of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from colonnade.cloud.cloudwatch.metric import combination, invalid, view
from colonnade.cloud.cloudwatch.queries import lines_of
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token

_MOST_QUERIES, _MOST_POINTS = 500, 100_800


class Found(NamedTuple):
    """What a query found."""

    id: str
    label: str
    points: Sequence[tuple[float, float]]
    """(time, value), in the order asked for."""


@operation("cloudwatch", "GetMetricData")
def get_metric_data(call: Call) -> Result:
    queries = call.parameters["MetricDataQueries"]
    _check(queries)
    if call.parameters["StartTime"] >= call.parameters["EndTime"]:
        raise ServiceError(
            "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
        )
    found = lines_of(view(call), queries, call.parameters["StartTime"], call.parameters["EndTime"])
    wanted = [query["Id"] for query in queries if query.get("ReturnData", True)]
    newest_first = call.parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = [
        Found(id, line.label, list(line.points.items())[:: -1 if newest_first else 1])
        for id in wanted
        for line in found[id]
    ]
    return _page(call, results)


def _check(queries: Sequence[Mapping[str, Any]]) -> None:
    if len(queries) > _MOST_QUERIES:
        raise invalid(f"MetricDataQueries has {len(queries)} members; at most {_MOST_QUERIES} may be given.")
    ids = [query["Id"] for query in queries]
    for id in ids:
        if not id[0].islower() or not id.replace("_", "").isalnum():
            raise invalid(
                f"The value {id} for parameter Id is invalid: begin with a lower-case letter, and use letters, digits and "
                "underscores."
            )
    if len(set(ids)) != len(ids):
        raise invalid(f"The ids of MetricDataQueries must be unique: {', '.join(ids)}.")
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            raise combination(f"The query {query['Id']} must have either MetricStat or Expression.")


def _page(call: Call, lines: Sequence[Found]) -> Result:
    """So many points, of the first line and then of those that follow; the token says how many of all have been given."""
    most = min(call.parameters.get("MaxDatapoints", _MOST_POINTS), _MOST_POINTS)
    if most < 1:
        raise invalid(f"The value {most} for parameter MaxDatapoints is invalid: give at least 1.")
    given, seen, results = _begin(call.parameters.get("NextToken", "")), 0, []
    end = given + most
    for line in lines:
        part = line.points[max(given - seen, 0) : max(end - seen, 0)]
        seen += len(line.points)
        results.append(
            {
                "Id": line.id,
                "Label": line.label,
                "Timestamps": [at for at, _ in part],
                "Values": [value for _, value in part],
                "StatusCode": "Complete" if seen <= end else "PartialData",
            }
        )
    return {"MetricDataResults": results, **({"NextToken": encode_token([end])} if seen > end else {})}


def _begin(token: str) -> int:
    if not token:
        return 0
    decoded = decode_token(token)
    if not isinstance(decoded, list) or len(decoded) != 1 or not isinstance(decoded[0], int):
        raise ServiceError(
            "InvalidNextToken", f"The token {token} is invalid: give the one of the page before."
        )
    return int(decoded[0])
