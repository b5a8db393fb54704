"""CloudWatch metric math: expressions over time series.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html

A series maps the start of each period to a value; a period without data has no entry. What is
modelled: + - * / ^, comparisons, AND, OR, and the functions of `FUNCTIONS`.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Series = Mapping[float, float]
Value = float | Series | Sequence[Series]


class ExpressionError(Exception):
    """When an expression cannot be read, or uses what is not modelled."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an expression may name: the other queries by id, and the periods in question."""

    series: Mapping[str, Series]
    metrics: Sequence[str]
    """Ids of the queries that are metrics, in the order of METRICS()."""
    times: Sequence[float]
    period: float


def evaluate(expression: str, given: Given) -> Series:
    """The series that an expression gives."""
    reader = _Reader(expression, given)
    value = reader.disjunction()
    reader.end()
    if isinstance(value, float):
        return dict.fromkeys(given.times, value)
    if isinstance(value, Mapping):
        return value
    raise ExpressionError(f"{expression} gives several time series where one is wanted")


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r'|"(?P<text>[^"]*)"|(?P<sign>>=|<=|==|!=|&&|\|\||[-+*/^<>(),\[\]]))'
)
_COMPARISONS: Mapping[str, Callable[[float, float], float]] = {
    ">": lambda left, right: float(left > right),
    ">=": lambda left, right: float(left >= right),
    "<": lambda left, right: float(left < right),
    "<=": lambda left, right: float(left <= right),
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
}


def _divide(left: float, right: float) -> float:
    # "Division by zero" leaves no data point; NaN marks it until the series is built.
    return left / right if right else math.nan


class _Reader:
    """A recursive descent over one expression, evaluating as it reads."""

    def __init__(self, expression: str, given: Given) -> None:
        self._expression, self._given = expression, given
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(expression.rstrip()):
            found = _TOKEN.match(expression, at)
            if found is None:
                raise ExpressionError(f"{expression} cannot be read at {expression[at:]!r}")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            at = found.end()
        self._at = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ExpressionError(
                f"{self._expression} cannot be read at {self._tokens[self._at][1]!r}"
            )

    def _next_is(self, *texts: str) -> str | None:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind != "text" and (text in texts or text.upper() in texts):
                self._at += 1
                return text
        return None

    def _expect(self, text: str) -> None:
        if self._next_is(text) is None:
            raise ExpressionError(f"{self._expression}: {text} is missing")

    def disjunction(self) -> Value:
        value = self._conjunction()
        while self._next_is("OR", "||"):
            value = _apply(
                lambda left, right: float(bool(left) or bool(right)), value, self._conjunction()
            )
        return value

    def _conjunction(self) -> Value:
        value = self._comparison()
        while self._next_is("AND", "&&"):
            value = _apply(
                lambda left, right: float(bool(left) and bool(right)), value, self._comparison()
            )
        return value

    def _comparison(self) -> Value:
        value = self._sum()
        while sign := self._next_is(*_COMPARISONS):
            value = _apply(_COMPARISONS[sign], value, self._sum())
        return value

    def _sum(self) -> Value:
        value = self._product()
        while sign := self._next_is("+", "-"):
            value = _apply(operator.add if sign == "+" else operator.sub, value, self._product())
        return value

    def _product(self) -> Value:
        value = self._power()
        while sign := self._next_is("*", "/"):
            value = _apply(operator.mul if sign == "*" else _divide, value, self._power())
        return value

    def _power(self) -> Value:
        value = self._unary()
        if self._next_is("^"):
            value = _apply(operator.pow, value, self._power())
        return value

    def _unary(self) -> Value:
        if self._next_is("-"):
            return _apply(operator.mul, -1.0, self._unary())
        return self._primary()

    def _primary(self) -> Value:
        if self._next_is("("):
            value = self.disjunction()
            self._expect(")")
            return value
        if self._next_is("["):
            return [_series(item, self._given) for item in self._list("]")]
        if self._at >= len(self._tokens):
            raise ExpressionError(f"{self._expression} ends too early")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return float(text)
        if kind == "text":
            raise ExpressionError(f"{self._expression}: text is not modelled here")
        if self._next_is("("):
            return self._call(text)
        if text in self._given.series:
            return self._given.series[text]
        raise ExpressionError(f"{self._expression}: there is no {text}")

    def _list(self, closing: str) -> list[Value]:
        items: list[Value] = []
        if self._next_is(closing):
            return items
        items.append(self.disjunction())
        while self._next_is(","):
            items.append(self.disjunction())
        self._expect(closing)
        return items

    def _call(self, name: str) -> Value:
        upper = name.upper()
        if upper == "METRICS":
            return self._metrics()
        if upper == "FILL":
            return self._fill()
        function = FUNCTIONS.get(upper)
        if function is None:
            raise ExpressionError(f"{self._expression}: {name} is not modelled")
        return function(self._list(")"), self._given)

    def _metrics(self) -> Value:
        part = ""
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "text":
            part = self._tokens[self._at][1]
            self._at += 1
        self._expect(")")
        return [self._given.series[key] for key in self._given.metrics if part in key]

    def _fill(self) -> Value:
        value = self.disjunction()
        self._expect(",")
        repeat = self._next_is("REPEAT") is not None
        filler = 0.0 if repeat else self.disjunction()
        self._expect(")")
        return _filled(value, filler, repeat, self._given)


def _apply(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Two operands: numbers, series point by point, or each series of several."""
    if isinstance(left, float) and isinstance(right, float):
        return function(left, right)
    if isinstance(left, list):
        return [_apply_series(function, item, right) for item in left]
    if isinstance(right, list):
        return [_apply_series(function, left, item) for item in right]
    return _apply_series(function, left, right)


def _apply_series(function: Callable[[float, float], float], left: Value, right: Value) -> Series:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        pairs = {time: (left[time], right[time]) for time in left if time in right}
    elif isinstance(left, Mapping) and isinstance(right, float):
        pairs = {time: (value, right) for time, value in left.items()}
    elif isinstance(left, float) and isinstance(right, Mapping):
        pairs = {time: (left, value) for time, value in right.items()}
    else:
        raise ExpressionError("an operation between two lists of time series is not modelled")
    return _numbers({time: function(*pair) for time, pair in pairs.items()})


def _numbers(series: Series) -> Series:
    return {time: value for time, value in series.items() if not math.isnan(value)}


def _series(value: Value, given: Given) -> Series:
    if isinstance(value, float):
        return dict.fromkeys(given.times, value)
    if isinstance(value, Mapping):
        return value
    raise ExpressionError("a list inside a list is not modelled")


def _filled(value: Value, filler: Value, repeat: bool, given: Given) -> Value:
    if isinstance(value, list):
        return [_series(_filled(item, filler, repeat, given), given) for item in value]
    series, others = _series(value, given), _series(filler, given)
    filled: dict[float, float] = {}
    last: float | None = None
    for time in sorted(given.times):
        found = series.get(time, last if repeat else others.get(time))
        if found is not None:
            filled[time] = last = found
    return filled


def _over(
    pick: Callable[[Sequence[float]], float],
) -> Callable[[Sequence[Value], Given], Value]:
    """Over one series: a number, its value over all periods. Over several: a series."""

    def function(arguments: Sequence[Value], given: Given) -> Value:
        [value] = arguments
        if isinstance(value, float):
            return pick([value])
        if isinstance(value, Mapping):
            return pick(list(value.values())) if value else {}
        by_time: dict[float, list[float]] = {}
        for series in value:
            for time, number in series.items():
                by_time.setdefault(time, []).append(number)
        return {time: pick(numbers) for time, numbers in by_time.items()}

    return function


def _each(change: Callable[[float], float]) -> Callable[[Sequence[Value], Given], Value]:
    def function(arguments: Sequence[Value], given: Given) -> Value:
        [value] = arguments
        return _apply(lambda left, _: change(left), value, 0.0)

    return function


def _if(arguments: Sequence[Value], given: Given) -> Value:
    condition = _series(arguments[0], given)
    yes = _series(arguments[1], given)
    no = _series(arguments[2], given) if len(arguments) > 2 else {}
    chosen = {time: (yes if flag else no).get(time) for time, flag in condition.items()}
    return {time: value for time, value in chosen.items() if value is not None}


def _period(arguments: Sequence[Value], given: Given) -> Value:
    return float(given.period)


def _rate(arguments: Sequence[Value], given: Given) -> Value:
    series = _series(arguments[0], given)
    times = sorted(series)
    return {
        later: (series[later] - series[earlier]) / (later - earlier)
        for earlier, later in itertools.pairwise(times)
    }


FUNCTIONS: Mapping[str, Callable[[Sequence[Value], Given], Value]] = {
    "SUM": _over(math.fsum),
    "AVG": _over(lambda numbers: math.fsum(numbers) / len(numbers)),
    "MIN": _over(min),
    "MAX": _over(max),
    "DATAPOINT_COUNT": _over(lambda numbers: float(len(numbers))),
    "ABS": _each(abs),
    "CEIL": _each(lambda number: float(math.ceil(number))),
    "FLOOR": _each(lambda number: float(math.floor(number))),
    "IF": _if,
    "PERIOD": _period,
    "RATE": _rate,
}
