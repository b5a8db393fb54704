"""What happens without an API call: crashes, losses, scaling, managed updates, bad turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.cloud import AccessDeniedError
from sandbox.elasticbeanstalk.administration import NoSuchInstanceError
from tests.unit.sandbox.elasticbeanstalk.bench import Bench, eventually, fetch

FLAG = "aws:elasticbeanstalk:application:environment/FLAG"


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    return tmp_path / "flag"


def test_an_application_that_turns_bad_is_seen_and_told(bench: Bench, flag: Path) -> None:
    bench.upload("v1", "turns")
    bench.launch(version="v1", size=2, options={FLAG: str(flag)})
    assert bench.environment()["HealthStatus"] == "Ok"
    flag.touch()
    eventually(lambda: bench.environment()["HealthStatus"] == "Severe")
    assert bench.environment()["Health"] == "Red"
    health = bench.health()
    assert "ELB processes are not healthy on all instances." in health["Causes"]
    assert health["InstancesHealth"]["Severe"] == 2
    assert bench.served()[0] == 500
    status, severity, message = bench.bridge("Health status change")[-1]
    assert (status, severity) == ("Environment health changed", "WARN")
    assert message.startswith("Environment health has transitioned from ")
    eventually(
        lambda: (
            ("AWS/ElasticBeanstalk", "EnvironmentHealth", 25.0, {"EnvironmentName": "shop-dev"})
            in bench.cloud.metrics
        )
    )
    flag.unlink()
    eventually(lambda: bench.environment()["HealthStatus"] == "Ok")
    assert bench.bridge("Health status change")[-1][1] == "INFO"


def test_a_few_bad_answers_are_no_news(bench: Bench) -> None:
    bench.launch()
    told = len(bench.bridge("Health status change"))
    (one,) = bench.service.environment(bench.administration.scope, name="shop-dev").fleet
    for _ in range(4):
        one.served(500, 0.01)
    seen = len(bench.cloud.metrics)
    eventually(lambda: len(bench.cloud.metrics) > seen + 3)
    assert len(bench.bridge("Health status change")) == told


def test_visitors_errors_count_as_health_though_the_health_path_is_fine(bench: Bench) -> None:
    bench.launch()
    (one,) = bench.service.environment(bench.administration.scope, name="shop-dev").fleet
    for _ in range(200):
        one.served(500, 0.01)
    eventually(lambda: bench.environment()["HealthStatus"] in ("Degraded", "Severe"))
    assert any("requests are failing with HTTP 5xx" in one for one in bench.health()["Causes"])


def test_the_address_is_the_one_that_the_api_tells(bench: Bench) -> None:
    made = bench.launch()
    assert bench.administration.address("shop-dev") == made["EndpointURL"]


def test_a_crashed_process_is_started_again(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch(version="v1")
    (before,) = bench.administration.instances("shop-dev")
    bench.administration.crash("shop-dev", before.instance_id)

    def is_back() -> bool:
        (now,) = bench.administration.instances("shop-dev")
        return now.is_healthy and now.port != before.port

    eventually(is_back)
    (after,) = bench.administration.instances("shop-dev")
    assert (after.instance_id, after.version_label) == (before.instance_id, "v1")
    assert fetch(f"http://127.0.0.1:{after.port}/") == (200, "v1")


def test_a_terminated_instance_is_replaced_with_the_last_successful_version(bench: Bench) -> None:
    rolling = {
        "aws:elasticbeanstalk:command/DeploymentPolicy": "Rolling",
        "aws:elasticbeanstalk:command/BatchSizeType": "Fixed",
        "aws:elasticbeanstalk:command/BatchSize": "1",
    }
    bench.upload("v1")
    bench.upload("v2", "bad")
    bench.launch(version="v1", size=2, options=rolling)
    bench.deploy("v2")
    assert bench.versions() == ["v1", "v2"]
    (bad,) = [
        one for one in bench.administration.instances("shop-dev") if one.version_label == "v2"
    ]
    bench.administration.terminate_instance("shop-dev", bad.instance_id)
    eventually(lambda: bench.versions() == ["v1", "v1"])
    eventually(lambda: bench.environment()["HealthStatus"] == "Ok")
    told = [one[0] for one in bench.bridge("Other resource status change")]
    assert told[-2:] == ["Instance removed", "Instance added"]
    with pytest.raises(NoSuchInstanceError):
        bench.administration.crash("shop-dev", bad.instance_id)


def test_scaling_stays_within_bounds(bench: Bench) -> None:
    bench.launch(size=1)
    bench.administration.scale("shop-dev", 9)
    assert len(bench.instances()) == 4
    bench.administration.scale("shop-dev", 0)
    assert len(bench.instances()) == 1
    assert bench.environment()["HealthStatus"] == "Ok"
    assert "Environment update is starting." not in bench.messages()


def test_a_managed_update_replaces_the_instances_and_tells(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch(version="v1", size=2)
    before = {one.instance_id for one in bench.administration.instances("shop-dev")}
    bench.administration.managed_update("shop-dev", "4.6.0")
    after = bench.wait()
    assert after["PlatformArn"].endswith("/4.6.0")
    assert not before & {one.instance_id for one in bench.administration.instances("shop-dev")}
    assert bench.versions() == ["v1", "v1"]
    assert bench.bridge("Managed update status change") == [
        ("Managed updated started", "INFO", "Managed platform update is in-progress.")
    ]

    def history() -> list[str]:
        found = bench.api.describe_environment_managed_action_history(EnvironmentName="shop-dev")
        return [one["Status"] for one in found["ManagedActionHistoryItems"]]

    eventually(lambda: history() == ["Completed"])
    actions = bench.api.describe_environment_managed_actions(EnvironmentName="shop-dev")
    assert actions["ManagedActions"] == []


def test_a_managed_update_that_fails_changes_nothing(bench: Bench) -> None:
    bench.launch()
    before = bench.environment()["PlatformArn"]
    bench.administration.managed_update("shop-dev", "4.6.0", fails=True)
    assert bench.wait()["PlatformArn"] == before
    assert bench.bridge("Managed update status change")[-1] == (
        "Managed update failed",
        "INFO",
        "Managed update failed, retrying in 60 minutes.",
    )


def test_a_service_role_that_cannot_be_assumed_is_severe(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **given: str) -> dict[str, str]:
        raise AccessDeniedError(given["service_principal"], "sts:AssumeRole", given["role_arn"])

    monkeypatch.setattr(bench.cloud, "environment", refuse)
    bench.launch(options={"aws:elasticbeanstalk:environment/ServiceRole": "service"})
    assert bench.environment()["HealthStatus"] == "Severe"
    assert bench.health()["Causes"][0].startswith(
        'Unable to assume role "arn:aws:iam::123456789012:role/service".'
    )
