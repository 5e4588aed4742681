"""What an expression comes to, over the lines that its queries found."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from colonnade.cloud.cloudwatch.math import ExpressionError, Line, Value
from colonnade.cloud.cloudwatch.math.functions import FUNCTIONS, Scope
from colonnade.cloud.cloudwatch.math.parser import Apply, Name, Node, Number, Text

_KEYWORDS = ("REPEAT", "LINEAR", "ASC", "DSC", "AVG", "MIN", "MAX", "SUM")


def evaluate(node: Node, scope: Scope) -> Value:
    """Raises ExpressionError. A point that an operation has no value for (a division by zero, say) is left out."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return _named(node.value, scope)
    if isinstance(node, Text):
        raise ExpressionError(f'The text "{node.value}" has no value here.')
    if node.function in _OPERATORS:
        return _operated(node.function, [evaluate(each, scope) for each in node.arguments])
    if node.function == "0-":
        return _operated("-", [0.0, evaluate(node.arguments[0], scope)])
    if node.function == "[]":
        return [line for each in node.arguments for line in _lines(evaluate(each, scope))]
    return _called(node, scope)


def _named(name: str, scope: Scope) -> Value:
    try:
        return scope.named(name)
    except KeyError:
        raise ExpressionError(f"The expression names {name}, which is the Id of no query.") from None


def _called(node: Apply, scope: Scope) -> Value:
    function = FUNCTIONS.get(node.function)
    if function is None:
        raise ExpressionError(
            f"The function {node.function} is not known here: {', '.join(sorted(FUNCTIONS))} are."
        )
    given: list[Value | str] = []
    for argument in node.arguments:
        if isinstance(argument, Text) or (isinstance(argument, Name) and argument.value in _KEYWORDS):
            given.append(argument.value)
        else:
            given.append(evaluate(argument, scope))
    try:
        inspect.signature(function).bind(scope, *given)
    except TypeError as error:
        raise ExpressionError(f"The arguments of {node.function} do not fit: {error}.") from error
    return function(scope, *given)


def _lines(value: Value) -> list[Line]:
    if isinstance(value, Line):
        return [value]
    if isinstance(value, list):
        return value
    raise ExpressionError("An array holds time series, not numbers.")


def _compare(test: Callable[[float, float], bool]) -> Callable[[float, float], float]:
    return lambda left, right: float(test(left, right))


_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "<": _compare(operator.lt),
    "<=": _compare(operator.le),
    ">": _compare(operator.gt),
    ">=": _compare(operator.ge),
    "==": _compare(operator.eq),
    "!=": _compare(operator.ne),
    "AND": lambda left, right: float(bool(left) and bool(right)),
    "OR": lambda left, right: float(bool(left) or bool(right)),
}


def _operated(name: str, values: Sequence[Value]) -> Value:
    left, right = values
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise ExpressionError(
                f"Arrays of {len(left)} and {len(right)} time series cannot be joined by {name}: give as many."
            )
        return [_of_lines(name, one, other) for one, other in zip(left, right, strict=True)]
    if isinstance(left, list):
        return [_of_lines(name, each, right) for each in left]  # type: ignore[arg-type]
    if isinstance(right, list):
        return [_of_lines(name, left, each) for each in right]
    if isinstance(left, Line) or isinstance(right, Line):
        return _of_lines(name, left, right)
    found = _of_numbers(name, left, right)
    if found is None:
        raise ExpressionError(f"{left:g} {name} {right:g} has no value.")
    return found


def _of_lines(name: str, left: float | Line, right: float | Line) -> Line:
    """Only at times that both have."""
    of = left if isinstance(left, Line) else right
    assert isinstance(of, Line)
    points: dict[float, float] = {}
    for at in of.points:
        one = left.points.get(at) if isinstance(left, Line) else left
        other = right.points.get(at) if isinstance(right, Line) else right
        if one is not None and other is not None:
            found = _of_numbers(name, one, other)
            if found is not None:
                points[at] = found
    return replace(of, points=points)


def _of_numbers(name: str, left: float, right: float) -> float | None:
    try:
        found = _OPERATORS[name](left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None
