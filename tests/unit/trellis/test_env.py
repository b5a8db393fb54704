from __future__ import annotations

import pytest

from trellis import env
from trellis.errors import ConfigError


def test_names_the_setting_and_the_mend_when_one_is_missing() -> None:
    with pytest.raises(ConfigError, match="TOPIC is not set: set it to the topic's ARN"):
        env.required({"TOPIC": "  "}, "TOPIC", "set it to the topic's ARN")


def test_reads_text_without_its_surrounding_space() -> None:
    assert env.required({"A": " b "}, "A", "") == "b"
    assert env.optional({"A": "b"}, "A") == "b"
    assert env.optional({"A": " "}, "A") is None


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("TRUE", True), ("false", False), ("", False)]
)
def test_reads_a_switch(text: str, value: bool) -> None:
    assert env.flag({"DRY_RUN": text}, "DRY_RUN") is value


def test_names_the_value_of_a_switch_that_is_none() -> None:
    with pytest.raises(ConfigError, match="DRY_RUN is 'yes': set it to true or false"):
        env.flag({"DRY_RUN": "yes"}, "DRY_RUN")


def test_reads_a_number_within_its_limits() -> None:
    assert env.number({}, "N", default=3, least=0, most=9) == 3
    assert env.number({"N": "9"}, "N", default=3, least=0, most=9) == 9


@pytest.mark.parametrize("text", ["ten", "10", "-1", "nan"])
def test_refuses_a_number_outside_of_its_limits(text: str) -> None:
    with pytest.raises(ConfigError, match="from 0 to 9"):
        env.number({"N": text}, "N", default=3, least=0, most=9)
