"""Builds that really run, through boto3."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.codebuild.cache import CONTAINER_HOME
from tests.unit.sandbox import object_store
from tests.unit.sandbox.codebuild.conftest import CONCURRENCY, Builds


def spec(**phases: list[str]) -> str:
    """A buildspec with these commands."""
    return json.dumps(
        {"version": 0.2, "phases": {name: {"commands": lines} for name, lines in phases.items()}}
    )


def whole(**sections: Any) -> str:
    return json.dumps({"version": 0.2, **sections})


def test_a_build_runs_the_sources_own_buildspec_and_uploads_what_it_names(
    builds: Builds,
) -> None:
    builds.upload(
        {
            "buildspec.yml": whole(
                phases={"build": {"commands": ["cat hello.txt", "mkdir out", "cp *.txt out"]}},
                artifacts={"base-directory": "out", "files": ["**/*"]},
            ),
            "hello.txt": "hello from the source",
        }
    )
    builds.project(
        artifacts={"type": "S3", "location": builds.bucket, "name": "out.zip", "packaging": "ZIP"}
    )
    build = builds.run()

    assert build["buildStatus"] == "SUCCEEDED"
    assert [phase["phaseType"] for phase in build["phases"]] == [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
        "COMPLETED",
    ]
    assert builds.unzipped("out.zip") == {"hello.txt": "hello from the source"}
    assert build["artifacts"]["location"] == f"arn:aws:s3:::{builds.bucket}/out.zip"
    assert re.fullmatch("[0-9a-f]{64}", build["artifacts"]["sha256sum"])
    log = builds.log(build["id"])
    assert "hello from the source" in log
    assert re.search(
        r"^\[Container\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+ Running command cat hello\.txt$",
        log,
        re.MULTILINE,
    )
    assert build["logs"]["groupName"] == "/aws/codebuild/shop"
    assert build["logs"]["streamName"] == build["id"].partition(":")[2]
    assert build["initiator"] == "root"
    assert not list((builds.folder / "codebuild" / "builds").iterdir())


def test_a_failing_command_fails_its_phase_with_the_command_and_the_status(
    builds: Builds,
) -> None:
    builds.project(
        buildspec=spec(
            build=["echo before", "sh -c 'exit 3'", "echo never"], post_build=["echo after"]
        )
    )
    build = builds.run()

    assert build["buildStatus"] == "FAILED"
    phase = builds.phase(build, "BUILD")
    assert phase["phaseStatus"] == "FAILED"
    assert phase["contexts"] == [
        {
            "statusCode": "COMMAND_EXECUTION_ERROR",
            "message": "Error while executing command: sh -c 'exit 3'. Reason: exit status 3",
        }
    ]
    log = builds.log(build["id"])
    assert "echo never" not in log
    assert "Command did not exit successfully sh -c 'exit 3' exit status 3" in log
    assert builds.phase(build, "POST_BUILD")["phaseStatus"] == "SUCCEEDED"


def test_a_failed_install_is_followed_by_no_other_command(builds: Builds) -> None:
    builds.project(buildspec=spec(install=["false"], build=["echo never"]))
    build = builds.run()
    kinds = [phase["phaseType"] for phase in build["phases"]]
    assert kinds[-3:] == ["INSTALL", "FINALIZING", "COMPLETED"]


def test_on_failure_decides_what_follows(builds: Builds) -> None:
    builds.project(
        "goes-on",
        buildspec=whole(
            phases={
                "install": {"commands": ["false"], "on-failure": "CONTINUE"},
                "build": {"commands": ["false"], "on-failure": "ABORT"},
                "post_build": {"commands": ["echo never"]},
            }
        ),
    )
    build = builds.run("goes-on")
    kinds = [phase["phaseType"] for phase in build["phases"]]
    assert kinds[4:] == ["INSTALL", "PRE_BUILD", "BUILD", "FINALIZING", "COMPLETED"]
    assert build["buildStatus"] == "FAILED"


def test_finally_runs_after_a_failure(builds: Builds) -> None:
    builds.project(
        buildspec=whole(phases={"build": {"commands": ["false"], "finally": ["echo tidy up"]}})
    )
    build = builds.run()
    assert build["buildStatus"] == "FAILED"
    assert "\ntidy up\n" in builds.log(build["id"])


def test_commands_share_one_shell_even_after_one_ended_it(builds: Builds) -> None:
    builds.project(
        buildspec=spec(
            install=["export COLOUR=green", "PLAIN=local", "mkdir -p deep", "cd deep"],
            pre_build=["sleep 60 & SERVER=$!"],
            build=[
                "kill -0 $SERVER && echo background-is-there",
                'echo "$COLOUR $PLAIN $(basename $PWD) $CODEBUILD_BUILD_SUCCEEDING"',
                "exit 4",
            ],
            post_build=[
                'echo "$COLOUR $PLAIN $(basename $PWD) $CODEBUILD_BUILD_SUCCEEDING"',
            ],
        )
    )
    build = builds.run()
    log = builds.log(build["id"]).splitlines()
    assert "background-is-there" in log
    assert "green local deep 1" in log
    assert "green local deep 0" in log
    assert "exit status 4" in builds.phase(build, "BUILD")["contexts"][0]["message"]


def test_the_environment_is_clean(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DEVELOPER", "leak")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    builds.project(
        buildspec=whole(
            env={"variables": {"FROM_SPEC": "spec", "BOTH": "spec", "ALL": "spec"}},
            phases={"build": {"commands": ["env | sort"]}},
        ),
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [
                {"name": "BOTH", "value": "project"},
                {"name": "ALL", "value": "project"},
            ],
        },
    )
    build = builds.run(environmentVariablesOverride=[{"name": "ALL", "value": "start"}])
    lines = builds.log(build["id"]).splitlines()
    seen = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    assert "SECRET_OF_THE_DEVELOPER" not in seen
    assert "PYTHONPATH" not in seen
    assert (seen["FROM_SPEC"], seen["BOTH"], seen["ALL"]) == ("spec", "project", "start")
    assert seen["CODEBUILD_BUILD_ID"] == build["id"]
    assert seen["CODEBUILD_BUILD_NUMBER"] == "1"
    assert seen["AWS_REGION"] == "us-east-1"
    assert seen["HOME"].startswith(str(builds.folder))


def test_python3_is_the_runtimes_interpreter(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["command -v python3"]))
    build = builds.run()
    assert os.path.join(os.path.dirname(sys.executable), "python3") in builds.log(build["id"])


def test_parameters_and_secrets_are_read_with_the_role(builds: Builds) -> None:
    builds.cloud.clients["ssm"] = object_store.client("ssm")
    builds.cloud.clients["secretsmanager"] = object_store.client("secretsmanager")
    builds.cloud.clients["ssm"].put_parameter(
        Name=f"/{builds.bucket}/colour", Value="blue", Type="String"
    )
    builds.cloud.clients["secretsmanager"].create_secret(
        Name=builds.bucket, SecretString=json.dumps({"user": "ada"})
    )
    builds.project(
        buildspec=whole(
            env={
                "parameter-store": {"COLOUR": f"/{builds.bucket}/colour"},
                "secrets-manager": {"NAME": f"{builds.bucket}:user"},
                "exported-variables": ["COLOUR", "LATE"],
            },
            phases={"build": {"commands": ['echo "$COLOUR and $NAME"', "export LATE=now"]}},
        )
    )
    build = builds.run()
    assert "blue and ada" in builds.log(build["id"])
    assert build["exportedEnvironmentVariables"] == [
        {"name": "COLOUR", "value": "blue"},
        {"name": "LATE", "value": "now"},
    ]


def test_a_missing_parameter_fails_before_any_command(builds: Builds) -> None:
    builds.cloud.clients["ssm"] = object_store.client("ssm")
    builds.project(
        buildspec=whole(
            env={"parameter-store": {"COLOUR": "/not/there"}},
            phases={"build": {"commands": ["echo never"]}},
        )
    )
    build = builds.run()
    context = builds.phase(build, "DOWNLOAD_SOURCE")["contexts"][0]
    assert context["message"] == "parameter does not exist: /not/there"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme": ""}, "buildspec.yml: no such file or directory"),
        ({"buildspec.yml": "version: 0.2\nphases: ["}, "not YAML"),
        (
            {"buildspec.yml": "version: 0.2\nphases:\n  build:\n    commands:\n      - a: b"},
            "Quote",
        ),
    ],
)
def test_a_buildspec_that_cannot_be_read_fails_the_download(
    builds: Builds, files: dict[str, str], message: str
) -> None:
    builds.upload(files)
    builds.project()
    build = builds.run()
    context = builds.phase(build, "DOWNLOAD_SOURCE")["contexts"][0]
    assert context["statusCode"] == "YAML_FILE_ERROR"
    assert message in context["message"]


def test_a_buildspec_in_a_bucket_is_not_modelled(builds: Builds) -> None:
    builds.upload({"readme": ""})
    builds.project()
    build = builds.run(buildspecOverride="arn:aws:s3:::bucket/buildspec.yml")
    context = builds.phase(build, "DOWNLOAD_SOURCE")["contexts"][0]
    assert "does not model a buildspec in a bucket" in context["message"]


def test_a_source_that_is_gone_fails_the_download(builds: Builds) -> None:
    builds.project()
    build = builds.run()
    context = builds.phase(build, "DOWNLOAD_SOURCE")["contexts"][0]
    assert context["statusCode"] == "CLIENT_ERROR"
    assert context["message"].startswith("NoSuchKey: ")


def test_artifacts_that_match_nothing_fail_the_upload(builds: Builds) -> None:
    builds.project(
        buildspec=whole(phases={}, artifacts={"files": ["nothing/*"]}),
        artifacts={"type": "S3", "location": builds.bucket, "packaging": "ZIP"},
    )
    build = builds.run()
    phase = builds.phase(build, "UPLOAD_ARTIFACTS")
    assert phase["contexts"][0]["message"] == "no matching artifact paths found"
    assert build["buildStatus"] == "FAILED"


def test_artifacts_are_named_flattened_and_encrypted_as_asked(builds: Builds) -> None:
    kms = object_store.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    builds.project(
        buildspec=whole(
            env={"variables": {"LABEL": "v7"}},
            phases={"build": {"commands": ["mkdir -p a/b", "echo x > a/b/c.txt", "touch a/no"]}},
            artifacts={
                "files": ["a/**/*"],
                "exclude-paths": ["a/no"],
                "discard-paths": "yes",
                "name": "shop-$LABEL.zip",
            },
        ),
        artifacts={
            "type": "S3",
            "location": builds.bucket,
            "packaging": "ZIP",
            "overrideArtifactName": True,
        },
        encryptionKey=key,
    )
    builds.run()
    assert list(builds.unzipped("shop-v7.zip")) == ["c.txt"]
    head = builds.s3.head_object(Bucket=builds.bucket, Key="shop-v7.zip")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.parametrize("kind", ["LOCAL", "S3"])
def test_the_cache_of_one_build_is_there_in_the_next(builds: Builds, kind: str) -> None:
    chosen: dict[str, Any] = {"type": "LOCAL", "modes": ["LOCAL_CUSTOM_CACHE"]}
    if kind == "S3":
        chosen = {"type": "S3", "location": f"{builds.bucket}/cache"}
    builds.project(
        cache=chosen,
        buildspec=whole(
            phases={
                "build": {
                    "commands": [
                        "cat .cache/deep/note ~/.tool/note || true",
                        "mkdir -p .cache/deep ~/.tool",
                        "echo kept-source > .cache/deep/note",
                        "echo kept-home > ~/.tool/note",
                    ]
                }
            },
            cache={"paths": [".cache/**/*", f"{CONTAINER_HOME}/.tool"]},
        ),
    )
    first, second = builds.run(), builds.run()
    assert "Cache miss" in builds.log(first["id"])
    assert "Cache hit: restored 2 file(s)" in builds.log(second["id"])
    assert "kept-source\nkept-home" in builds.log(second["id"])


def test_without_a_cache_nothing_is_kept(builds: Builds) -> None:
    builds.project(
        buildspec=whole(
            phases={"build": {"commands": ["test ! -e kept", "touch kept"]}},
            cache={"paths": ["kept"]},
        )
    )
    builds.run()
    assert builds.run()["buildStatus"] == "SUCCEEDED"


def test_a_build_over_the_accounts_limit_is_refused(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["sleep 30"]))
    running = [builds.start() for _ in range(CONCURRENCY)]
    with pytest.raises(
        builds.client.exceptions.AccountLimitExceededException,
        match=f"Cannot have more than {CONCURRENCY} builds in queue for the account",
    ):
        builds.start()
    for build_id in running:
        builds.client.stop_build(id=build_id)
        builds.finished(build_id)
    assert builds.finished(builds.start(buildspecOverride=spec(build=["true"])))


def test_an_account_may_have_another_quota_in_a_region(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["sleep 30"]))
    builds.service.set_quota("us-east-1", 1)
    builds.service.set_quota("us-west-2", 0)
    running = builds.start()
    with pytest.raises(builds.client.exceptions.AccountLimitExceededException, match="more than 1"):
        builds.start()
    builds.service.set_quota("us-east-1", None)
    for build_id in (running, builds.start()):
        builds.client.stop_build(id=build_id)
        builds.finished(build_id)


def test_a_project_may_have_a_limit_of_its_own(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["sleep 30"]), concurrentBuildLimit=1)
    running = builds.start()
    with pytest.raises(builds.client.exceptions.AccountLimitExceededException, match="more than 1"):
        builds.start()
    builds.client.stop_build(id=running)
    builds.finished(running)


def test_a_stopped_build_leaves_no_process_behind(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["(trap '' TERM; sleep 61.5) & sleep 61.5", "echo never"]))
    build_id = builds.start()
    while "sleep 61.5" not in builds.log(build_id):
        time.sleep(0.02)
    builds.client.stop_build(id=build_id)
    build = builds.finished(build_id)
    assert build["buildStatus"] == "STOPPED"
    assert builds.phase(build, "BUILD")["phaseStatus"] == "STOPPED"
    assert not _processes_with("61.5")


@pytest.mark.parametrize("minute", [0.1])
def test_a_build_that_takes_too_long_is_timed_out(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["sleep 62.5"]), timeoutInMinutes=5)
    build = builds.run()
    assert build["buildStatus"] == "TIMED_OUT"
    assert builds.phase(build, "BUILD")["contexts"][0]["statusCode"] == "BUILD_TIMED_OUT"
    assert not _processes_with("62.5")


def test_output_is_streamed_while_the_build_runs(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["echo early; sleep 30"]))
    build_id = builds.start()
    deadline = time.monotonic() + 10
    while "\nearly" not in builds.log(build_id):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert builds.build(build_id)["currentPhase"] == "BUILD"
    assert builds.build(build_id)["buildStatus"] == "IN_PROGRESS"
    builds.client.stop_build(id=build_id)
    builds.finished(build_id)


def test_logs_go_where_the_project_says_or_nowhere(builds: Builds) -> None:
    builds.project(
        "named",
        buildspec=spec(build=["echo here"]),
        logsConfig={
            "cloudWatchLogs": {"status": "ENABLED", "groupName": "/own", "streamName": "ci"}
        },
    )
    builds.project(
        "silent",
        buildspec=spec(build=["echo here"]),
        logsConfig={"cloudWatchLogs": {"status": "DISABLED"}},
    )
    named, silent = builds.run("named"), builds.run("silent")
    uuid = named["id"].partition(":")[2]
    assert "here" in builds.cloud.logs["/own", f"ci/{uuid}"]
    assert "groupName" not in silent["logs"]
    assert len(builds.cloud.logs) == 1


def test_a_role_that_may_not_write_logs_fails_the_build(builds: Builds) -> None:
    builds.cloud.denied.add("logs:CreateLogStream")
    builds.project(buildspec=spec(build=["echo never"]))
    build = builds.run()
    context = builds.phase(build, "PROVISIONING")["contexts"][0]
    assert context["statusCode"] == "ACCESS_DENIED"
    assert "logs:CreateLogStream" in context["message"]
    assert not builds.cloud.logs


def test_test_reports_are_counted(builds: Builds) -> None:
    junit = (
        '<testsuite><testcase name="a" time="0.5"/><testcase name="b"><failure/></testcase>'
        '<testcase name="c"><skipped/></testcase></testsuite>'
    )
    builds.project(
        buildspec=whole(
            phases={"build": {"commands": [f"echo '{junit}' > results.xml"]}},
            reports={"unit": {"files": ["*.xml"], "file-format": "JUNITXML"}},
        )
    )
    build = builds.run()
    [report] = builds.client.batch_get_reports(reportArns=build["reportArns"])["reports"]
    assert report["testSummary"] == {
        "total": 3,
        "statusCounts": {"SUCCEEDED": 1, "FAILED": 1, "SKIPPED": 1},
        "durationInNanoSeconds": 500_000_000,
    }
    assert report["status"] == "FAILED"
    group = "arn:aws:codebuild:us-east-1:123456789012:report-group/shop-unit"
    assert report["reportGroupArn"] == group
    assert builds.client.list_report_groups()["reportGroups"] == [group]
    assert ("codebuild:CreateReportGroup", group) in builds.cloud.authorized
    listed = builds.client.list_reports_for_report_group(reportGroupArn=group)
    assert listed["reports"] == build["reportArns"]


def test_retrying_a_build_starts_another_with_the_same_request(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["echo $COLOUR"]))
    first = builds.run(environmentVariablesOverride=[{"name": "COLOUR", "value": "red"}])
    again = builds.client.retry_build(id=first["id"])["build"]
    assert again["id"] != first["id"]
    assert builds.finished(again["id"])["buildNumber"] == 2
    assert "\nred" in builds.log(again["id"])
    assert builds.client.list_builds_for_project(projectName="shop")["ids"] == [
        again["id"],
        first["id"],
    ]
    assert builds.client.list_builds(sortOrder="ASCENDING")["ids"][0] == first["id"]


def test_the_same_idempotency_token_starts_one_build(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["true"]))
    first = builds.start(idempotencyToken="once")
    assert builds.start(idempotencyToken="once") == first
    builds.finished(first)


def test_what_is_not_modelled_is_said_in_the_log(builds: Builds) -> None:
    builds.project(
        buildspec=whole(
            phases={"install": {"runtime-versions": {"python": "3.13"}}},
            batch={"fast-fail": True},
            artifacts={"files": ["x"], "secondary-artifacts": {"other": {"files": ["y"]}}},
        )
    )
    log = builds.log(builds.run()["id"])
    assert "batch is not modelled and ignored" in log
    assert "artifacts.secondary-artifacts are not modelled and ignored" in log
    assert "Runtime version python 3.13" in log


def _processes_with(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_text()
        except OSError:
            continue
        if text in line.split("\0"):
            found.append(line)
    return found
