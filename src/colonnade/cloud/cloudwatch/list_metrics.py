"""ListMetrics: what has been put in the last two weeks."""

from __future__ import annotations

from colonnade.cloud.cloudwatch.metric import invalid, view
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.timeseries import Series

_PAGE = 500
_RECENT = {"": 14 * 86_400, "PT3H": 3 * 3600}


@operation("cloudwatch", "ListMetrics")
def list_metrics(call: Call) -> Result:
    given = call.parameters
    having = {each["Name"]: each.get("Value") for each in given.get("Dimensions", ())}
    series = view(call).storage.find(
        call.account,
        call.region,
        namespace=given.get("Namespace", ""),
        name=given.get("MetricName", ""),
        having=having,
        since=call.now - _RECENT[given.get("RecentlyActive", "")],
    )
    # A metric put in several units is one metric.
    metrics = list(dict.fromkeys(each[2:5] for each in series))
    begin = _begin(given.get("NextToken", ""))
    page = [_shown(Series("", "", *each)) for each in metrics[begin : begin + _PAGE]]
    more = {"NextToken": encode_token([begin + _PAGE])} if len(metrics) > begin + _PAGE else {}
    return {"Metrics": page, **more}


def _begin(token: str) -> int:
    if not token:
        return 0
    decoded = decode_token(token)
    if not isinstance(decoded, list) or len(decoded) != 1 or not isinstance(decoded[0], int):
        raise invalid(
            f"The value {token} for parameter NextToken is invalid: give the one of the page before."
        )
    return int(decoded[0])


def _shown(series: Series) -> dict[str, object]:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    return {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}
