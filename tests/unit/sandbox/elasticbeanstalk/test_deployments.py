"""Deployments by policy: what runs where, what is told, and what a failure leaves behind."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError

from sandbox.elasticbeanstalk.downstream import Step, needed
from tests.unit.sandbox.elasticbeanstalk.bench import (
    BUCKET,
    SCOPE,
    Bench,
    eventually,
    without_ids,
    zipped,
)
from tests.unit.sandbox.elasticbeanstalk.test_applications import refused

COMMAND = "aws:elasticbeanstalk:command"
MIXED = (
    "During an aborted deployment, some instances may have deployed the new application version. "
    "To ensure all instances are running the same version, re-deploy the appropriate application "
    "version."
)
POLICIES = [
    "AllAtOnce",
    "Rolling",
    "RollingWithAdditionalBatch",
    "Immutable",
    "TrafficSplitting",
]


def policy(name: str, batch: int = 1) -> dict[str, str]:
    return {
        f"{COMMAND}/DeploymentPolicy": name,
        f"{COMMAND}/BatchSizeType": "Fixed",
        f"{COMMAND}/BatchSize": str(batch),
        f"{COMMAND}/Timeout": "60",
        "aws:elasticbeanstalk:trafficsplitting/EvaluationTime": "3",
    }


def launched(
    bench: Bench, name: str, size: int = 2, options: Mapping[str, str] | None = None
) -> list[str]:
    """An environment that runs v1, deployment 1; the ids of its instances."""
    bench.upload("v1")
    bench.launch(version="v1", size=size, options={**policy(name), **(options or {})})
    return [one.instance_id for one in bench.administration.instances("shop-dev")]


def told(bench: Bench) -> list[str]:
    """What was told since the last update began, without what was said of health."""
    messages = without_ids(bench.messages())
    start = len(messages) - messages[::-1].index("Environment update is starting.") - 1
    return [one for one in messages[start:] if not one.startswith("Environment health has")]


@pytest.mark.parametrize("name", POLICIES)
def test_a_good_version_reaches_every_instance(bench: Bench, name: str) -> None:
    before = launched(bench, name)
    bench.upload("v2")
    after = bench.deploy("v2")
    assert (after["VersionLabel"], after["Health"], after["HealthStatus"]) == ("v2", "Green", "Ok")
    assert after["AbortableOperationInProgress"] is False
    assert bench.versions() == ["v2", "v2"]
    assert {one["Deployment"]["DeploymentId"] for one in bench.instances()} == {2}
    assert bench.served() == (200, "v2")
    assert told(bench)[-2:] == [
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ]
    running = [one.instance_id for one in bench.administration.instances("shop-dev")]
    assert (running == before) is (name not in ("Immutable", "TrafficSplitting"))
    statuses = [one[0] for one in bench.bridge("Elastic Beanstalk resource status change")]
    assert statuses[-2:] == ["Environment update started", "Environment update successful"]


@pytest.mark.parametrize("mode", ["dies", "bad"])
@pytest.mark.parametrize("name", ["Immutable", "TrafficSplitting"])
def test_an_immutable_deployment_that_fails_is_reverted(bench: Bench, name: str, mode: str) -> None:
    before = launched(bench, name)
    bench.upload("v2", mode)
    after = bench.deploy("v2")
    assert (after["Status"], after["VersionLabel"], after["HealthStatus"]) == ("Ready", "v1", "Ok")
    assert [one.instance_id for one in bench.administration.instances("shop-dev")] == before
    assert bench.versions() == ["v1", "v1"]
    assert [bench.served() for _ in range(4)] == [(200, "v1")] * 4
    assert "Failed to deploy application." in told(bench)
    assert MIXED not in told(bench)


def test_an_immutable_deployment_shows_the_old_label_until_it_has_succeeded(bench: Bench) -> None:
    launched(bench, "Immutable", size=1)
    bench.upload("v2", "bad")
    answer = bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v2")
    assert (answer["VersionLabel"], answer["Status"]) == ("v2", "Updating")
    assert bench.environment()["VersionLabel"] == "v1"
    bench.wait()


def test_an_immutable_deployment_serves_the_old_version_meanwhile(bench: Bench) -> None:
    launched(bench, "Immutable", size=1)
    bench.upload("v2", "bad")
    bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v2")
    eventually(lambda: len(bench.instances()) == 2)
    eventually(lambda: bench.service.environment(SCOPE, name="shop-dev").fleet[-1].is_unhealthy)
    assert [bench.served() for _ in range(4)] == [(200, "v1")] * 4
    bench.wait()


@pytest.mark.parametrize("mode", ["dies", "bad"])
def test_all_at_once_that_fails_is_not_reverted(bench: Bench, mode: str) -> None:
    launched(bench, "AllAtOnce")
    bench.upload("v2", mode)
    after = bench.deploy("v2")
    assert (after["Status"], after["VersionLabel"]) == ("Ready", "v1")
    assert bench.versions() == ["v2", "v2"]
    assert told(bench)[-2:] == ["Failed to deploy application.", MIXED]
    eventually(lambda: bench.environment()["HealthStatus"] == "Severe")
    wrong = (
        "Incorrect application version found on all instances. "
        'Expected version "v1" (deployment 1).'
    )
    assert wrong in bench.health()["Causes"]
    status = "Failed" if mode == "dies" else "Deployed"
    assert [one["Deployment"]["Status"] for one in bench.instances()] == [status, status]


def test_the_words_of_a_command_that_fails(bench: Bench) -> None:
    launched(bench, "AllAtOnce", size=1)
    bench.upload("v2", "dies")
    bench.deploy("v2")
    assert told(bench) == [
        "Environment update is starting.",
        "Deploying new version to instance(s).",
        "Instance deployment failed. For details, see 'eb-engine.log'.",
        "[Instance: i-…] Command failed on instance. Return code: 1 Output: Engine execution has "
        "encountered an error..",
        "Command execution completed on all instances. Summary: [Successful: 0, Failed: 1].",
        "Unsuccessful command execution on instance id(s) 'i-…'. Aborting the operation.",
        "Failed to deploy application.",
        MIXED,
    ]
    (one,) = bench.service.environment(SCOPE, name="shop-dev").fleet
    engine = (one.folder / "eb-engine.log").read_text()
    assert "Its last words: no database" in engine


def test_the_words_of_a_health_check_that_fails(bench: Bench) -> None:
    launched(bench, "AllAtOnce", size=1)
    bench.upload("v2", "bad")
    bench.deploy("v2")
    assert told(bench)[2:] == [
        "Instance deployment completed successfully.",
        "Instance id(s) 'i-…' did not pass health check after command execution. Aborting the "
        "operation.",
        "Failed to deploy application.",
        MIXED,
    ]


def test_the_words_of_a_rolling_deployment(bench: Bench) -> None:
    launched(bench, "Rolling")
    bench.upload("v2")
    bench.deploy("v2")
    batch = [
        "Starting application deployment on instance(s) [i-…].",
        "De-registering instance(s) from the load balancer and waiting for them to go out of "
        "service.",
        "Starting application deployment command execution.",
        "Instance deployment completed successfully.",
        "Completed application deployment command execution.",
        "Command execution completed on {} of 2 instances in environment.",
        "Registering instance(s) with the load balancer and waiting for them to be healthy.",
        "Completed application deployment.",
    ]
    expected = [
        line.format(number)
        if line.startswith(("Command", "Instance"))
        else f"Batch {number}: {line}"
        for number in (1, 2)
        for line in batch
    ]
    assert told(bench) == [
        "Environment update is starting.",
        "Deploying new version to instance(s).",
        *expected,
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ]


def test_a_rolling_deployment_that_fails_in_its_first_batch_leaves_the_rest(bench: Bench) -> None:
    launched(bench, "Rolling", size=3)
    bench.upload("v2", "bad")
    after = bench.deploy("v2")
    assert after["VersionLabel"] == "v1"
    assert bench.versions() == ["v1", "v1", "v2"]
    assert MIXED in told(bench)
    eventually(lambda: bench.environment()["HealthStatus"] == "Degraded")
    causes = bench.health()["Causes"]
    assert (
        "Incorrect application version found on 1 out of 3 instances. "
        'Expected version "v1" (deployment 1).'
    ) in causes
    assert "ELB processes are not healthy on 1 out of 3 instances." in causes
    by_version = {one["Deployment"]["VersionLabel"]: one for one in bench.instances()}
    assert by_version["v1"]["HealthStatus"] == "Ok"
    assert by_version["v2"]["HealthStatus"] == "Severe"
    assert (
        'Incorrect application version "v2" (deployment 2). Expected version "v1" (deployment 1).'
    ) in by_version["v2"]["Causes"]


def test_finished_batches_of_a_failed_deployment_stay(bench: Bench) -> None:
    """The second batch has no room left to be good in: its instance is told to be bad."""
    launched(
        bench, "Rolling", size=2, options={"aws:elasticbeanstalk:application:environment/FLAG": "-"}
    )
    flag = bench.service.environment(SCOPE, name="shop-dev").fleet[1].folder / "flag"
    bench.s3.put_object(
        Bucket=BUCKET,
        Key="v1.zip",
        Body=zipped(
            {
                # Good in the first batch's folder, bad where the flag lies.
                "Procfile": "web: test -e ../flag && exit 1; exec python3 app.py\n",
                "app.py": "import os\nfrom http.server import *\n"
                "class H(SimpleHTTPRequestHandler):\n"
                "    def do_GET(self):\n        self.send_response(200)\n"
                "        self.end_headers()\n"
                "ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n",
            }
        ),
    )
    bench.api.create_application_version(
        ApplicationName="shop",
        VersionLabel="v2",
        SourceBundle={"S3Bucket": BUCKET, "S3Key": "v1.zip"},
    )
    flag.touch()
    after = bench.deploy("v2")
    assert after["VersionLabel"] == "v1"
    first, second = bench.instances()
    assert (first["Deployment"]["VersionLabel"], first["Deployment"]["Status"]) == (
        "v2",
        "Deployed",
    )
    assert (second["Deployment"]["VersionLabel"], second["Deployment"]["Status"]) == (
        "v2",
        "Failed",
    )
    assert "Batch 1: Completed application deployment." in told(bench)


def test_an_additional_batch_is_launched_and_ended(bench: Bench) -> None:
    before = launched(bench, "RollingWithAdditionalBatch")
    bench.upload("v2")
    bench.deploy("v2")
    lines = told(bench)
    assert lines[1:4] == [
        "Rolling with Additional Batch deployment policy enabled. Launching a new batch of 1 "
        "additional instance(s).",
        "Added instance [i-…] to your environment.",
        "Batch 1: 1 EC2 instance(s) [i-…] launched. Deploying application version 'v2'.",
    ]
    assert lines.count("Removed instance [i-…] from your environment.") == 1
    assert [one.instance_id for one in bench.administration.instances("shop-dev")] == before


def test_an_additional_batch_that_fails_leaves_a_mixed_fleet_until_the_next_deployment(
    bench: Bench,
) -> None:
    launched(bench, "RollingWithAdditionalBatch")
    bench.upload("v2", "bad")
    after = bench.deploy("v2")
    assert after["VersionLabel"] == "v1"
    assert bench.versions() == ["v1", "v1", "v2"]
    assert bench.deploy("v1")["HealthStatus"] == "Ok"
    assert bench.versions() == ["v1", "v1"]


def test_redeploying_the_known_good_version_mends_a_mixed_fleet(bench: Bench) -> None:
    launched(bench, "Rolling", size=2)
    bench.upload("v2", "bad")
    bench.deploy("v2")
    assert bench.versions() == ["v1", "v2"]
    after = bench.deploy("v1")
    assert (after["VersionLabel"], after["HealthStatus"]) == ("v1", "Ok")
    assert bench.versions() == ["v1", "v1"]
    assert {one["Deployment"]["DeploymentId"] for one in bench.instances()} == {3}


def test_health_checks_can_be_ignored(bench: Bench) -> None:
    launched(bench, "AllAtOnce", options={f"{COMMAND}/IgnoreHealthCheck": "true"})
    bench.upload("v2", "bad")
    after = bench.deploy("v2")
    assert after["VersionLabel"] == "v2"
    assert bench.versions() == ["v2", "v2"]
    eventually(lambda: bench.environment()["HealthStatus"] == "Severe")


def test_a_lower_threshold_lets_a_worse_version_through(bench: Bench) -> None:
    launched(
        bench,
        "AllAtOnce",
        options={
            "aws:elasticbeanstalk:healthreporting:system/HealthCheckSuccessThreshold": "Severe",
        },
    )
    bench.upload("v2", "bad")
    assert bench.deploy("v2")["VersionLabel"] == "v2"


def test_the_timeout_option_is_honoured(bench: Bench) -> None:
    launched(bench, "AllAtOnce", size=1, options={f"{COMMAND}/Timeout": "1"})
    bench.upload("v2", "bad")
    begun = time.monotonic()
    bench.deploy("v2")
    took = time.monotonic() - begun
    # 241 s of AWS's time instead of 840.
    assert 241 * bench.service.pace.second <= took < 840 * bench.service.pace.second


def test_a_bundle_that_cannot_run_leaves_the_old_version_running(bench: Bench) -> None:
    launched(bench, "AllAtOnce")
    bench.s3.put_object(Bucket=BUCKET, Key="empty.zip", Body=zipped({"readme": "no Procfile"}))
    bench.api.create_application_version(
        ApplicationName="shop",
        VersionLabel="v2",
        SourceBundle={"S3Bucket": BUCKET, "S3Key": "empty.zip"},
    )
    after = bench.deploy("v2")
    assert after["VersionLabel"] == "v1"
    assert bench.served() == (200, "v1")
    assert [one["Deployment"]["Status"] for one in bench.instances()] == ["Failed", "Failed"]


def test_a_bundle_that_is_gone_fails_the_deployment_and_touches_nothing(bench: Bench) -> None:
    launched(bench, "AllAtOnce")
    bench.upload("v2")
    bench.s3.delete_object(Bucket=BUCKET, Key="v2.zip")
    after = bench.deploy("v2")
    assert (after["Status"], after["VersionLabel"], after["HealthStatus"]) == ("Ready", "v1", "Ok")
    assert bench.versions() == ["v1", "v1"]
    assert told(bench)[1:] == [
        "Unable to download from S3 location (Bucket: bundles  Key: v2.zip). Reason: Not Found",
        "Failed to deploy application.",
    ]


def test_scaling_out_needs_only_beanstalks_own_copy(bench: Bench) -> None:
    launched(bench, "AllAtOnce", size=1)
    bench.s3.delete_object(Bucket=BUCKET, Key="v1.zip")
    bench.administration.scale("shop-dev", 2)
    assert bench.versions() == ["v1", "v1"]


@pytest.mark.parametrize("name", ["Rolling", "RollingWithAdditionalBatch"])
def test_aborting_a_rolling_deployment_leaves_a_mixed_fleet(bench: Bench, name: str) -> None:
    launched(bench, name, size=2)
    bench.upload("v2", "bad")
    bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v2")
    eventually(lambda: "v2" in [one["Deployment"].get("VersionLabel") for one in bench.instances()])
    assert bench.environment()["AbortableOperationInProgress"] is True
    bench.api.abort_environment_update(EnvironmentName="shop-dev")
    after = bench.wait()
    assert after["VersionLabel"] == "v1"
    assert set(bench.versions()) == {"v1", "v2"}
    assert MIXED in told(bench)


def test_aborting_an_immutable_deployment_reverts_it(bench: Bench) -> None:
    before = launched(bench, "Immutable")
    bench.upload("v2", "bad")
    bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v2")
    eventually(lambda: len(bench.instances()) == 3)
    bench.api.abort_environment_update(EnvironmentName="shop-dev")
    bench.wait()
    assert [one.instance_id for one in bench.administration.instances("shop-dev")] == before
    assert bench.versions() == ["v1", "v1"]


def test_there_is_nothing_to_abort_in_a_ready_environment(bench: Bench) -> None:
    launched(bench, "AllAtOnce")
    with pytest.raises(ClientError) as error:
        bench.api.abort_environment_update(EnvironmentName="shop-dev")
    code, message = refused(error)
    assert code == "InvalidParameterValue"
    assert message.startswith("Environment named shop-dev is in an invalid state")


def test_health_is_information_during_a_deployment_and_worse_only_after_it(bench: Bench) -> None:
    launched(bench, "AllAtOnce", size=1)
    bench.upload("v2", "bad")
    bench.deploy("v2")
    eventually(lambda: bench.environment()["HealthStatus"] == "Severe")
    health = [one[2].split(". ")[0] for one in bench.bridge("Health status change")]
    assert health[2:4] == [
        "Environment health has transitioned from Ok to Info",
        "Environment health has transitioned from Info to Severe"
        if "Severe" in health[3]
        else "Environment health has transitioned from Info to Degraded",
    ]
    worse = [one for one in bench.bridge("Health status change") if one[1] == "WARN"]
    assert "Application update failed" in worse[0][2]


def test_an_instance_in_a_deployment_says_so(bench: Bench) -> None:
    launched(bench, "AllAtOnce", size=1)
    bench.s3.put_object(Bucket=BUCKET, Key="slow.zip", Body=zipped({"Procfile": "web: sleep 60\n"}))
    bench.api.create_application_version(
        ApplicationName="shop",
        VersionLabel="slow",
        SourceBundle={"S3Bucket": BUCKET, "S3Key": "slow.zip"},
    )
    bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="slow")
    eventually(lambda: bench.instances()[0]["Deployment"]["Status"] == "In Progress")
    (one,) = bench.instances()
    assert one["HealthStatus"] == "Pending"
    assert one["Causes"][0].startswith("Performing application deployment (running for")
    assert bench.environment()["HealthStatus"] == "Info"


def test_a_deployment_asks_for_the_rights_of_its_policy_and_no_others(bench: Bench) -> None:
    launched(bench, "Immutable", size=1)
    bench.upload("v2")
    here = bench.service.environment(SCOPE, name="shop-dev").situation
    bench.cloud.authorized.clear()
    bench.deploy("v2")
    asked = [one for one in bench.cloud.authorized if not one[0].startswith("elasticbeanstalk:")]
    steps = (Step.STORE, Step.PREPARE, Step.TEMPORARY, Step.ATTACH, Step.TRANSFER)
    expected = {(one.action, one.resource) for step in steps for one in needed(step, here)}
    assert set(asked) == expected | {("s3:GetObject", f"arn:aws:s3:::{BUCKET}/v2.zip")}


@pytest.mark.parametrize(
    ("action", "service"),
    [
        ("cloudformation:DescribeStackResources", "AmazonCloudFormation"),
        ("autoscaling:SuspendProcesses", "AmazonAutoScaling"),
        ("ec2:DescribeInstances", "AmazonEC2"),
        ("elasticloadbalancing:DeregisterTargets", "AmazonElasticLoadBalancing"),
    ],
)
def test_a_missing_right_fails_the_deployment_before_it_touches_an_instance(
    bench: Bench, action: str, service: str
) -> None:
    launched(bench, "Rolling")
    bench.upload("v2")
    bench.cloud.denied.add(action)
    after = bench.deploy("v2")
    assert (after["VersionLabel"], after["HealthStatus"]) == ("v1", "Ok")
    assert bench.versions() == ["v1", "v1"]
    errors = bench.messages(severity="ERROR")
    assert errors[0].startswith(f"Service:{service}, Message:User: arn:aws:iam::")
    assert f"is not authorized to perform: {action} on resource: " in errors[0]
    assert errors[1] == "Failed to deploy application."


def test_a_right_that_is_missing_half_way_leaves_a_mixed_fleet(bench: Bench) -> None:
    launched(bench, "Rolling")
    bench.upload("v2")
    bench.cloud.denied.add("elasticloadbalancing:RegisterTargets")
    bench.deploy("v2")
    assert bench.versions() == ["v1", "v2"]
    assert MIXED in told(bench)


@pytest.mark.parametrize("action", ["s3:CreateBucket", "s3:PutObject", "s3:PutObjectAcl"])
def test_a_missing_right_on_its_bucket_is_refused_at_once(bench: Bench, action: str) -> None:
    launched(bench, "AllAtOnce", size=1)
    bench.upload("v2")
    bench.cloud.denied.add(action)
    with pytest.raises(bench.api.exceptions.InsufficientPrivilegesException) as error:
        bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v2")
    assert refused(error)[1] == (
        f"You do not have permission to perform the '{action}' action. Verify that your S3 "
        "policies and your ACLs allow you to perform these actions."
    )
    assert bench.environment()["Status"] == "Ready"
