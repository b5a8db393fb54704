"""The settings parameter: what the template writes is read, what is wrong is named."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from operations.template import load
from rollback.codec import decode, encode
from rollback.facts import Facts
from rollback.settings import EnvironmentSettings, Settings, parse
from tests.template.rendered import Template
from tests.unit.rollback.samples import facts
from trellis.errors import ConfigError
from trellis.events import RollbackMode

WRITTEN: dict[str, Any] = {
    "schema": 1,
    "project": "bakery",
    "pipeline": "bakery-pipeline-demo",
    "application": "bakery-demo",
    "bucket": "artifacts",
    "region": "us-east-1",
    "function": "arn:aws:lambda:us-east-1:123456789012:function:f:live",
    "stages": {
        "DeployToProd": {
            "environment": "bakery-prod-demo",
            "mode": "approve",
            "bakeMinutes": 0.2,
            "alarms": ["5xx"],
        }
    },
}


def parsed(**changes: Any) -> Settings:
    return parse("the-parameter", json.dumps({**WRITTEN, **changes}))


def test_reads_what_is_written_and_has_a_default_for_the_rest() -> None:
    settings = parsed(cap=3)
    [prod] = settings.stages
    assert (prod.mode, prod.bake) == (RollbackMode.APPROVE, timedelta(seconds=12))
    assert (prod.cap, prod.cap_window, prod.alarms) == (3, timedelta(hours=24), ("5xx",))
    assert settings.event_age == timedelta(hours=1)


def test_a_watch_without_a_length_is_as_long_as_the_templates_default() -> None:
    [prod] = parsed(stages={"DeployToProd": {"environment": "bakery-prod-demo"}}).stages
    told = timedelta(minutes=load()["Parameters"]["BakeMinutes"]["Default"])
    assert prod.bake == told
    assert EnvironmentSettings(stage="S", environment="e").bake == told


@pytest.mark.parametrize("mode", ["auto", "approve", "observe"])
def test_reads_what_the_template_writes(mode: str) -> None:
    form = Template.of_the_project().resolved(
        ProdRollbackMode=mode, BakeMinutes="7.5", RollbackCap="4", RollbackAnswerHours="0.5"
    )
    written = form.properties("RollbackSettings")
    settings = parse(written["Name"], written["Value"])
    assert [one.stage for one in settings.stages] == ["DeployToDev", "DeployToTest", "DeployToProd"]
    prod = settings.of_stage("DeployToProd")
    assert prod is not None
    assert prod.mode is {"auto": RollbackMode.AUTOMATIC}.get(mode, prod.mode)
    assert prod.bake == timedelta(minutes=7.5)
    assert (prod.cap, prod.answer_within) == (4, timedelta(minutes=30))
    assert (
        form.properties("RollbackFunction")["Environment"]["Variables"]["SETTINGS_PARAMETER"]
        == (written["Name"])
    )


@pytest.mark.parametrize("name", ["prod", "PROD", "bakery-prod-demo", "DeployToProd"])
def test_an_environment_has_three_names(name: str) -> None:
    found = parsed().named(name)
    assert found is not None
    assert found.environment == "bakery-prod-demo"
    assert parsed().named("staging") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 2}, "schema is '2': this code knows schema 1"),
        ({"cap": "many"}, "cap is 'many': set it to a number from 0 to 100"),
        ({"stages": {}}, "name at least one stage"),
        ({"pipeline": ""}, "pipeline is '': set it to a text"),
        (
            {"stages": {"S": {"environment": "e", "mode": "sometimes"}}},
            "stages.S.mode is 'sometimes': set it to auto, approve, observe",
        ),
        (
            {"stages": {"S": {"environment": "e", "bakeMinutes": -1}}},
            "stages.S.bakeMinutes is '-1': set it to a number from 0 to 1440",
        ),
        ({"stages": {"S": {"environment": "e", "alarms": "5xx"}}}, "a list of alarm names"),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_mend(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "no JSON", "[1]"])
def test_a_parameter_that_is_no_object_is_one_clear_error(text: str) -> None:
    with pytest.raises(ConfigError, match="the-parameter"):
        parse("the-parameter", text)


def test_facts_come_back_from_a_durable_step_as_they_went_in() -> None:
    written = json.loads(json.dumps(encode(facts(quarantined=frozenset({"v0"})))))
    assert decode(Facts, written) == facts(quarantined=frozenset({"v0"}))
