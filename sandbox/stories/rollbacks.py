"""What stories of rollbacks are told with, beside the words of `world`.

As there, everything goes through the public APIs; accidents that no API makes go through the
sandbox's control API.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from operations.order import OrderError, answer_of, begin
from sandbox.stories.world import Mark, StoryError, World

STAGES = {"Dev": "DeployToDev", "Test": "DeployToTest", "Prod": "DeployToProd"}
LONG = 330.0
"""Seconds that a whole bake or rollback may take."""


# ------------------------------------------------------------------ what people do


def prove(
    world: World, version: str, message: str, environment: str = "Dev", **release: Any
) -> str:
    """Release a version as far as an environment and wait until it is known good there.

    Returns its revision.
    """
    world.confirm_subscription()
    clear_the_way(world)
    run = world.upload(version, message, **release)
    deployed(world, run, environment)
    revision = revision_of(world, run)
    world.wait(
        f"{version} to be known good in {environment}",
        lambda: known_good(world, environment) == revision,
        patience=LONG,
    )
    world.audience.happened(environment, Mark.DONE, f"{version} did well and is known good")
    if environment != "Prod":
        stop(world, run)
    return revision


def clear_the_way(world: World) -> None:
    """End what an earlier story left under way or frozen on the same stack."""
    for one in world.runs():
        stop(world, one["pipelineExecutionId"], "another story begins")
    for environment, stage in STAGES.items():
        if not is_open(world, environment):
            order(world, command="unfreeze", stage=stage)


def deployed(world: World, run: str, environment: str) -> None:
    """Wait until a run has deployed to an environment, approving it where that is Prod."""
    if environment == "Prod":
        world.wait_for_approval(run)
        world.approve(run)

    def done() -> bool:
        return any(
            action["stageName"] == STAGES[environment]
            and action["actionName"] == "Deploy"
            and action["status"] in ("Succeeded", "Failed")
            for action in world.actions(run)
        )

    world.wait(f"the deployment to {environment}", done)
    world.tell_progress(run)


def stop(world: World, run: str, words: str = "the story is over") -> None:
    """Stop a run that is in the way, as a person would."""
    if world.status(run) != "InProgress":
        return
    world.client("codepipeline").stop_pipeline_execution(
        pipelineName=world.outputs["PipelineName"],
        pipelineExecutionId=run,
        abandon=True,
        reason=words,
    )


def order(world: World, **command: str) -> dict[str, Any]:
    """Give the function a command by hand, as `make order` does, and wait for its answer."""
    words = " ".join(str(value) for value in command.values())
    world.audience.happened("you", Mark.DONE, f"order: {words}")
    client = world.client("lambda")
    try:
        return answer_of(client, begin(client, world.outputs["RollbackFunctionAliasArn"], command))
    except OrderError as err:
        raise StoryError(f"the order {words!r} was not carried out: {err}") from err


@contextmanager
def behaving(world: World, environment: str | None = None, **changes: Any) -> Iterator[None]:
    """Change how rollback behaves, for one environment or for all, and change it back.

    The next watch reads it: no deployment is needed.
    """
    ssm, name = world.client("ssm"), world.outputs["RollbackSettingsName"]
    before = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    settings = json.loads(before)
    target = settings["stages"][STAGES[environment]] if environment else settings
    target.update(changes)
    ssm.put_parameter(Name=name, Value=json.dumps(settings), Overwrite=True)
    try:
        yield
    finally:
        ssm.put_parameter(Name=name, Value=before, Overwrite=True)


def forget_what_is_good(world: World, environment: str) -> None:
    """Take an environment back to before its first release proved itself."""
    key = {"pk": {"S": f"environment#{name_of(world, environment)}"}, "sk": {"S": "known-good"}}
    world.client("dynamodb").delete_item(TableName=world.outputs["LedgerTableName"], Key=key)


def accident(world: World, method: str, path: str, given: Mapping[str, Any]) -> Any:
    """Do to the sandbox what no AWS API does."""
    return world.sandbox.control(method, path, given)


# ------------------------------------------------------------------ what they see


def name_of(world: World, environment: str) -> str:
    """The name of an environment: `bakery-prod-demo` for `Prod`."""
    return world.outputs[f"{environment}EnvironmentName"]


def known_good(world: World, environment: str) -> str | None:
    """The revision that is known good, as the ledger has it."""
    found = world.client("dynamodb").get_item(
        TableName=world.outputs["LedgerTableName"],
        Key={"pk": {"S": f"environment#{name_of(world, environment)}"}, "sk": {"S": "known-good"}},
        ConsistentRead=True,
    )
    return str(found["Item"]["revision"]["S"]) if "Item" in found else None


def revision_of(world: World, run: str) -> str:
    """The source revision of a run."""
    for one in world.runs():
        if one["pipelineExecutionId"] == run:
            return str(one["sourceRevisions"][0]["revisionId"])
    raise StoryError(f"there is no run {run}")


def versions_on(world: World, environment: str) -> set[str]:
    """The version labels that the instances of an environment report."""
    answer = world.client("elasticbeanstalk").describe_instances_health(
        EnvironmentName=name_of(world, environment), AttributeNames=["Deployment"]
    )
    return {str(one["Deployment"]["VersionLabel"]) for one in answer["InstanceHealthList"]}


def expect_back(world: World, environment: str, version: str) -> None:
    """See an environment serve a version again, on every instance, and steadily."""

    def serves() -> bool:
        try:
            return all(world.served(environment) == version for _ in range(3))
        except (OSError, ValueError, KeyError):
            return False

    world.wait(f"{environment} to serve {version} again", serves, patience=LONG)
    if len(versions_on(world, environment)) != 1:
        raise StoryError(f"instances of {environment} run {versions_on(world, environment)}")
    world.audience.happened(environment, Mark.SERVES, f"{version} again, on every instance")


def expect_letter(world: World, environment: str, *words: str, of: str) -> str:
    """Wait for the e-mail that tells what became of a run's deployment; returns its body."""
    letter = wait_for_words(world, name_of(world, environment), revision_of(world, of), *words)
    world.audience.letter(letter)
    return str(letter["body"])


def wait_for_words(world: World, *words: str) -> dict[str, Any]:
    """An e-mail with all the words in its subject or body, whatever their case."""

    def arrived() -> dict[str, Any] | None:
        for letter in world.letters():
            text = f"{letter['subject']}\n{letter['body']}".lower()
            if all(word.lower() in text for word in words):
                return letter
        return None

    return world.wait(f"an e-mail with {', '.join(words)}", arrived, patience=LONG)


ACTS = ("codepipeline:RollbackStage", "elasticbeanstalk:UpdateEnvironment")
"""What the rollback function does to an environment, by its first and its second route."""


def acts_since(world: World, environment: str, since: float) -> list[str]:
    """What the rollback function was allowed to do to an environment, from IAM's own record."""
    role = world.outputs["RollbackFunctionRoleArn"].rpartition("/")[2]
    targets = (f"/{name_of(world, environment)}", f"/{STAGES[environment]}")
    found = []
    with (world.sandbox.state / "decisions.jsonl").open() as record:
        for line in record:
            one = json.loads(line)
            if (
                one["time"] > since
                and one["decision"] == "Allow"
                and one["action"] in ACTS
                and f"/{role}/" in one["principal"]
                and f":{world.region}:" in one["resource"]
                and one["resource"].endswith(targets)
            ):
                found.append(one["action"])
    return found


def expect_no_rollback(world: World, environment: str, since: float) -> None:
    """See that nothing was rolled back in an environment since a time, by either route."""
    acts = acts_since(world, environment, since)
    if acts:
        raise StoryError(f"{environment} was rolled back: {', '.join(acts)}")
    world.audience.happened(environment, Mark.DONE, "nothing was rolled back")


def health(world: World, environment: str) -> str:
    """The health of an environment, in Elastic Beanstalk's word."""
    answer = world.client("elasticbeanstalk").describe_environment_health(
        EnvironmentName=name_of(world, environment), AttributeNames=["HealthStatus"]
    )
    return str(answer["HealthStatus"])


def state_of(world: World, environment: str) -> str:
    """The status of an environment: `Ready`, `Updating`, …"""
    described = world.client("elasticbeanstalk").describe_environments(
        EnvironmentNames=[name_of(world, environment)]
    )
    return str(described["Environments"][0]["Status"])


def expect_approval_measured(world: World, since: float) -> None:
    """Wait until a sweep has written for how long an approval waits."""
    metric = {
        "Namespace": "Trellis",
        "MetricName": "ApprovalWaitSeconds",
        "Dimensions": [
            {"Name": "pipeline", "Value": world.outputs["PipelineName"]},
            {"Name": "service", "Value": "rollback"},
        ],
    }
    query = {
        "Id": "waited",
        "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"},
    }

    def measured() -> float:
        answer = world.client("cloudwatch").get_metric_data(
            MetricDataQueries=[query], StartTime=since - 60, EndTime=time.time() + 60
        )
        return max(answer["MetricDataResults"][0]["Values"], default=0.0)

    seconds = world.wait("the measure of how long the approval waits", measured)
    world.audience.happened("metric", Mark.DONE, f"the approval waits for {seconds:.0f} s")


def is_open(world: World, environment: str) -> bool:
    """Whether releases may enter the stage of an environment."""
    state = world.client("codepipeline").get_pipeline_state(name=world.outputs["PipelineName"])
    for stage in state["stageStates"]:
        if stage["stageName"] == STAGES[environment]:
            return bool(stage["inboundTransitionState"]["enabled"])
    raise StoryError(f"there is no stage {STAGES[environment]}")


def thaw(world: World, environment: str) -> None:
    """Open a stage that a page left frozen, by the command that the page names."""
    world.wait(f"{STAGES[environment]} to be frozen", lambda: not is_open(world, environment))
    answer = order(world, command="unfreeze", stage=STAGES[environment])
    if answer["outcome"] != "unfrozen" or not is_open(world, environment):
        raise StoryError(f"{STAGES[environment]} is not open again: {answer}")


def bad(seconds: float = 4.0, **more: Any) -> dict[str, Any]:
    """A release that passes every check and answers 500 after a while."""
    return {"fault": "turns-bad", "fault_after_seconds": seconds, **more}


def now() -> float:
    """The time, for `since`."""
    return time.time()


# ------------------------------------------------------------------ what goes wrong


@contextmanager
def losing_events(world: World) -> Iterator[None]:
    """Lose every event of this pipeline's deploy actions; those of others in the Region arrive."""
    pattern = {
        "source": ["aws.codepipeline"],
        "detail": {
            "pipeline": [world.outputs["PipelineName"]],
            "type": {"category": ["Deploy"]},
        },
    }
    accident(world, "PUT", f"{world.region}/faults", {"drop": 1, "pattern": pattern})
    world.audience.happened("events", Mark.FAILED, "every event of a deployment is lost")
    try:
        yield
    finally:
        accident(world, "DELETE", f"{world.region}/faults", {})


def sweep(world: World, after: float = 10) -> None:
    """Let the sweep come round, with what its schedule hands over.

    It leaves alone, for `after` seconds, what an event may still tell.
    """
    time.sleep(after)
    world.client("lambda").invoke(
        FunctionName=world.outputs["RollbackFunctionAliasArn"],
        InvocationType="Event",
        Payload=b'{"sweep": {}}',
    )
    world.audience.happened("schedule", Mark.DONE, "the sweep comes round")


def lose_artifact(world: World, environment: str) -> None:
    """Let the bundle of what an environment runs expire."""
    label = world.version_label(environment)
    [version] = world.client("elasticbeanstalk").describe_application_versions(
        ApplicationName=world.outputs["ApplicationName"], VersionLabels=[label]
    )["ApplicationVersions"]
    bundle = version["SourceBundle"]
    world.client("s3").delete_object(Bucket=bundle["S3Bucket"], Key=bundle["S3Key"])
    world.audience.happened("S3", Mark.DONE, f"the artifact of {environment} has expired")


def lose_copy(world: World, environment: str) -> None:
    """Lose the copy of an environment's known-good bundle, which never expires by itself."""
    s3, bucket = world.client("s3"), world.outputs["ArtifactBucketName"]
    prefix = f"known-good/{name_of(world, environment)}/"
    for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=found["Key"])
    world.audience.happened("S3", Mark.FAILED, "somebody deletes the copy")


def answer_yes(world: World, letter: str) -> None:
    """Run the command that the e-mail names."""
    world.client("lambda").send_durable_execution_callback_success(
        CallbackId=_callback(letter), Result=b"yes"
    )
    world.audience.happened("you", Mark.DONE, "say yes")


def answer_no(world: World, letter: str) -> None:
    """Refuse, by the command beside it in docs/rollback.md."""
    world.client("lambda").send_durable_execution_callback_failure(
        CallbackId=_callback(letter), Error={"ErrorMessage": "not now"}
    )
    world.audience.happened("you", Mark.DONE, "say no")


def _callback(letter: str) -> str:
    return letter.split("--callback-id '")[1].split("'")[0]
