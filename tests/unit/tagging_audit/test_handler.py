"""tagging_audit as it is deployed: S3, SQS, DynamoDB and EventBridge are moto's server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from tagging_audit import handler, second_look, wiring
from tagging_audit.command import CommandError
from tagging_audit.inventory.aws import Aws
from tagging_audit.office import NotAllowedError
from tagging_audit.pace import Paces
from tagging_audit.store import BucketStore, Memory, StoreError
from tests.unit.tagging_audit.conftest import client, clients
from tests.unit.tagging_audit.gate import Answer, Gate, Request
from tests.unit.tagging_audit.samples import ACCOUNT, GOOD, arn
from tests.unit.tagging_audit.test_remedy import ALL, empty
from tests.unit.tagging_audit.test_stack_inventory import answer, listed

STACK_ID = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/bakery-demo/1f2e3d"
BUCKET = "bakery-reports"
TAGS = [{"Key": key, "Value": value} for key, value in GOOD.items()]


class World:
    """The resources that the template makes, all in order, and a clock."""

    def __init__(self, moto: Gate) -> None:
        self.moto = moto
        self.now = datetime.now(UTC)
        client("s3").create_bucket(Bucket=BUCKET)
        client("s3").put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": TAGS})
        self.queue = client("sqs").create_queue(QueueName="audit", tags=GOOD)["QueueUrl"]
        client("dynamodb").create_table(
            TableName="ledger",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
            Tags=TAGS,
        )
        moto.requests.clear()

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def notes(self) -> list[dict[str, Any]]:
        """What the function sent to itself, taken out of the queue."""
        sqs = client("sqs")
        found = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(one["Body"]) for one in found]

    def sent(self) -> list[dict[str, Any]]:
        """The notes as they were sent, with their delay."""
        return [
            json.loads(one.body) for one in self.moto.requests if one.operation == "SendMessage"
        ]

    def told(self) -> list[dict[str, Any]]:
        """The details of the events that were published."""
        return [
            json.loads(json.loads(one.body)["Entries"][0]["Detail"])
            for one in self.moto.requests
            if one.operation == "PutEvents"
        ]

    def report(self) -> dict[str, Any]:
        """The JSON report of the last audit that was told."""
        key = self.told()[-1]["report"]["key"].replace(".html", ".json")
        body = client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources of that report, by the last part of their ARNs."""
        return {one["arn"].split(":")[-1].split("/")[-1]: one for one in self.report()["resources"]}


@pytest.fixture
def world(moto: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(moto)
    for name, value in {
        "STACK_ID": STACK_ID,
        "PROJECT_NAME": "bakery",
        "ENVIRONMENT_SUFFIX": "demo",
        "OWNER": "team-bakery",
        "COST_CENTER": "CC-4242",
        "REQUIRED_TAGS": "Project,Owner,CostCenter",
        "REPORTS_BUCKET_NAME": BUCKET,
        "LEDGER_TABLE_NAME": "ledger",
        "AUDIT_QUEUE_URL": made.queue,
        "AUDIT_SCOPE": "account",
        "AUDIT_REMEDY": "off",
    }.items():
        monkeypatch.setenv(name, value)
    opened = wiring.open_office

    def open_office(*arguments: Any) -> Any:
        office = opened(*arguments)
        office.aws._attempts = 3
        return replace(office, now=lambda: made.now)

    monkeypatch.setattr(wiring, "Clients", clients)
    monkeypatch.setattr(wiring, "open_office", open_office)
    monkeypatch.setattr("time.sleep", lambda _: None)
    # What this stack holds is another room's question: here it holds nothing.
    moto.rules.append(listed())
    kept = (handler._config, handler._policy, wiring._fittings)
    for one in kept:
        one.cache_clear()
    yield made
    for one in kept:
        one.cache_clear()


class Context:
    """Lambda's context: how much time is left is asked of a function."""

    aws_request_id = "request-1"

    def __init__(self, remaining: Callable[[], int]) -> None:
        self.get_remaining_time_in_millis = remaining


def invoke(event: Any, remaining: Callable[[], int] = lambda: 300_000) -> dict[str, Any]:
    return handler.lambda_handler(event, Context(remaining))


def in_queue(*bodies: Any) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies)
        ]
    }


SCHEDULED = {
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "resources": [f"arn:aws:events:us-east-1:{ACCOUNT}:rule/bakery-audit-demo"],
    "detail": {},
}


def tag_change(
    name: str, tags: dict[str, str], *changed: str, version: int = 5, source: str = ""
) -> dict[str, Any]:
    return {
        "source": "aws.tag",
        "detail-type": "Tag Change on Resource",
        "account": ACCOUNT,
        "region": "us-east-1",
        "time": "2026-11-24T09:00:00Z",
        "resources": [source or arn(name)],
        "detail": {
            "changed-tag-keys": list(changed),
            "service": "sqs",
            "resource-type": "queue",
            "version": version,
            "tags": tags,
        },
    }


def queue(name: str, tags: dict[str, str] | None = None) -> str:
    url: str = client("sqs").create_queue(QueueName=name, tags=tags or {})["QueueUrl"]
    return url


def retag(name: str, tags: dict[str, str], *gone: str) -> None:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    if gone:
        sqs.untag_queue(QueueUrl=url, TagKeys=list(gone))
    if tags:
        sqs.tag_queue(QueueUrl=url, Tags=tags)


# Audits.


def test_the_schedule_makes_an_audit_with_three_reports_and_one_event(world: World) -> None:
    queue("bare")
    assert invoke(in_queue(SCHEDULED)) == {"batchItemFailures": []}
    (told,) = world.told()
    assert told["trigger"] == "schedule"
    assert told["counts"]["non-compliant"] == 1
    assert told["findings"] == 3
    assert "new-findings" not in told
    assert told["report"]["bucket"] == BUCKET
    assert told["report"]["url"].startswith(
        f"https://us-east-1.console.aws.amazon.com/s3/object/{BUCKET}?region=us-east-1&prefix=audits/"
    )
    assert [one["problem"] for one in told["worst"]] == [
        "has no tag Project",
        "has no tag Owner",
        "has no tag CostCenter",
    ]
    keys = [one["Key"] for one in client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    day = f"date={world.now:%Y-%m-%d}"
    folder = f"audits/account/{day}/{told['audit-id']}"
    assert keys == [
        f"{folder}/report.csv",
        f"{folder}/report.html",
        f"{folder}/report.json",
        "audits/account/latest-us-east-1.json",
    ]
    assert ":" not in folder


def test_several_triggers_of_one_batch_are_one_audit(world: World) -> None:
    assert invoke(in_queue(SCHEDULED, SCHEDULED)) == {"batchItemFailures": []}
    assert len(world.told()) == 1


def test_the_end_of_a_release_makes_an_audit_and_its_start_does_not(world: World) -> None:
    event = {
        "source": "aws.codepipeline",
        "detail-type": "CodePipeline Pipeline Execution State Change",
        "detail": {"pipeline": "bakery-pipeline-demo", "state": "STARTED"},
    }
    invoke(in_queue(event))
    assert world.told() == []
    invoke(in_queue({**event, "detail": {"state": "FAILED"}}))
    assert world.told()[0]["trigger"] == "release"


def test_a_person_gets_the_numbers_as_the_answer(world: World) -> None:
    queue("bare")
    found = invoke({"scope": "account", "regions": ["us-east-1"]})
    assert found["resources"] == 4
    assert found["findings"] == 3
    assert found["unknown"] == 0
    assert found["complete"] is True
    assert found["requests"] > 10
    assert world.told()[0]["trigger"] == "manual"


def test_the_next_audit_says_what_is_new_and_what_was_mended(world: World) -> None:
    queue("old", {"Project": "shop", "Owner": "x"})
    invoke({})
    retag("old", {"CostCenter": "CC-1"})
    queue("new")
    found = invoke({})
    assert (found["new-findings"], found["resolved-findings"]) == (3, 1)
    told = world.told()[-1]
    assert (told["new-findings"], told["resolved-findings"]) == (3, 1)
    assert told["mended"] == [
        {
            "arn": arn("old"),
            "type": "AWS::SQS::Queue",
            "tag": "CostCenter",
            "problem": "CostCenter was missing",
        }
    ]


def test_the_numbers_are_counted_for_the_dashboard(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    queue("bare")
    invoke({})
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines() if one[0] == "{"]
    (metrics,) = [one for one in lines if "_aws" in one]
    assert metrics["stack"] == "bakery-demo"
    assert metrics["TagFindings"] == [3.0]
    assert metrics["ResourcesAudited"] == [4.0]
    assert metrics["NewTagFindings"] == [0.0]


def test_a_near_miss_names_the_key_that_is_meant(world: World) -> None:
    queue("near", {"Project": "shop", "Owner": "x", "costcenter": "CC-1"})
    invoke({})
    (finding,) = world.resources()["near"]["findings"]
    assert (finding["problem"], finding["found"], finding["suggestion"]) == (
        "near-miss",
        "costcenter",
        "CostCenter",
    )


def test_an_expired_exemption_is_a_finding(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        handler.POLICY.read_text()
        + '\n[[exemption]]\nresources = ["*:bare"]\nowner = "team-data"\n'
        'reason = "is replaced"\nexpires = 2026-01-31\n'
    )
    monkeypatch.setattr(handler, "POLICY", path)
    queue("bare")
    invoke({})
    found = world.resources()["bare"]
    assert found["verdict"] == "non-compliant"
    assert found["findings"][-1]["problem"] == "expired-exemption"
    assert (
        "team-data must mend the tags or renew it, policy.toml line"
        in (found["findings"][-1]["text"])
    )
    assert "expired on 2026-01-31: take it out" in world.report()["notes"][0]


def test_another_region_is_audited_when_it_is_named(world: World) -> None:
    client("sqs", "us-west-2").create_queue(QueueName="western")
    found = invoke({"regions": ["us-west-2"]})
    assert found["counts"]["non-compliant"] == 1
    assert world.resources()["western"]["region"] == "us-west-2"


def test_what_nobody_understands_is_told_to_the_person_and_dropped_from_the_queue(
    world: World,
) -> None:
    with pytest.raises(CommandError, match="unknown part 'region': did you mean regions"):
        invoke({"region": "us-east-1"})
    with pytest.raises(CommandError, match="scope is 'all': write stack or account"):
        invoke({"scope": "all"})
    assert invoke(in_queue("no JSON", {"source": "x", "detail-type": "y"}, SCHEDULED)) == {
        "batchItemFailures": []
    }
    assert len(world.told()) == 1


def test_a_message_that_fails_comes_again_and_the_others_do_not(world: World) -> None:
    world.moto.refuse("PutEvents", "AccessDeniedException")
    change = tag_change("somebody-elses", GOOD, "colour")
    assert invoke(in_queue(change, SCHEDULED)) == {
        "batchItemFailures": [{"itemIdentifier": "message-1"}]
    }


# What could not be seen.


@pytest.mark.parametrize(
    ("operation", "type_"),
    [("ListQueues", "AWS::SQS::Queue"), ("ListTopics", "AWS::SNS::Topic")],
)
def test_a_denied_list_is_named_and_nothing_of_it_is_called_untagged(
    world: World, operation: str, type_: str
) -> None:
    queue("bare")
    client("sns").create_topic(Name="bare")
    world.moto.refuse(operation, "AccessDeniedException", status=403)
    found = invoke({})
    assert found["complete"] is False
    assert found["unknown"] == 1
    report = world.report()
    unseen = [one for one in report["resources"] if one["type"] == type_]
    assert {one["verdict"] for one in unseen} <= {"unknown", "compliant"}
    (line,) = [one for one in report["coverage"] if one["type"] == type_]
    assert line["complete"] is False
    assert line["note"].endswith("was denied")
    assert report["unread"][0]["types"] == [type_]


def test_without_the_tagging_api_the_report_says_so(world: World) -> None:
    queue("bare")
    world.moto.refuse("GetResources", "AccessDeniedException")
    found = invoke({})
    assert found["counts"]["non-compliant"] == 0
    assert found["unknown"] == 4
    assert world.report()["unread"][0]["what"] == "tag:GetResources was denied"


def test_throttling_to_the_end_is_in_the_report(world: World) -> None:
    world.moto.refuse("ListTables", "ThrottlingException")
    invoke({})
    assert world.report()["unread"][0]["what"] == (
        "dynamodb:ListTables was throttled to the end of its retries"
    )


def running_out(calls: int) -> Callable[[], int]:
    """Time for some looks at the clock, then nearly none."""
    left = [calls]

    def remaining() -> int:
        left[0] -= 1
        return 300_000 if left[0] >= 0 else 1_000

    return remaining


def test_an_audit_goes_on_in_the_next_invocation(world: World) -> None:
    for number in range(105):
        client("sns").create_topic(Name=f"topic-{number}")
    queue("bare")
    whole = invoke({})
    world.moto.requests.clear()
    put_off = invoke(in_queue(SCHEDULED), running_out(6))
    assert put_off == {"batchItemFailures": []}
    assert world.told() == []
    rounds = 1
    while notes := [one for one in world.notes() if "continue" in one["trellis-audit"]]:
        rounds += 1
        invoke(in_queue(*notes), running_out(6))
    assert rounds > 2
    (told,) = world.told()
    assert told["counts"] == whole["counts"]
    assert told["trigger"] == "schedule"
    assert world.report()["requests"] >= whole["requests"]
    keys = [one["Key"] for one in client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert not [one for one in keys if one.startswith("checkpoints/")]


def test_a_warm_invocation_makes_no_client_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("bare")
    first = invoke({})
    made: list[str] = []
    create = Session.create_client

    def counted(self: Session, service_name: str, *args: Any, **kwargs: Any) -> Any:
        made.append(service_name)
        return create(self, service_name, *args, **kwargs)

    monkeypatch.setattr(Session, "create_client", counted)
    counts = [world.report()["requests"]]
    for _ in range(2):
        assert invoke({})["counts"] == first["counts"]
        counts.append(world.report()["requests"])
    assert made == []
    # What is counted is one audit's own, however many its execution environment has done.
    assert counts[1] == counts[2] <= counts[0]


def test_the_regions_share_what_botocore_has_read(world: World) -> None:
    office = wiring.open_office(handler._config(), handler._policy(()), Context(lambda: 300_000))
    here, there = (office.aws._client("sqs", one) for one in ("us-east-1", "us-west-2"))
    assert there._loader is here._loader
    assert there.meta.region_name == "us-west-2"


def test_going_on_twice_with_one_audit_is_harmless(world: World) -> None:
    invoke(in_queue(SCHEDULED), running_out(5))
    (note,) = world.notes()
    invoke(in_queue(note))
    assert len(world.told()) == 1
    assert invoke(note)["outcome"] == "finished already"
    assert len(world.told()) == 1


def test_without_a_queue_what_was_not_reached_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDIT_QUEUE_URL")
    handler._config.cache_clear()
    queue("bare")
    found = invoke({}, running_out(9))
    assert found["complete"] is False
    assert found["counts"]["non-compliant"] == 0
    assert any("the time ran out before" in one["what"] for one in world.report()["unread"])


# Tag events.


def test_a_tag_event_is_judged_without_a_single_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRY_RUN", "true")
    handler._config.cache_clear()
    found = invoke(tag_change("orders", {"Project": "shop", "owner": "x"}, "Owner"))
    assert found["verdict"] == "non-compliant"
    assert [(one["tag"], one["problem"]) for one in found["findings"]] == [
        ("Owner", "near-miss"),
        ("CostCenter", "missing"),
    ]
    assert world.moto.requests == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (tag_change("orders", GOOD, "colour"), "no tag of the policy changed"),
        (tag_change("x", GOOD, "Owner", source="arn:aws:sqs:us-east-1:9:theirs"), ""),
    ],
)
def test_a_tag_event_that_changes_nothing_for_us_makes_no_call(
    world: World, event: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reason:
        monkeypatch.setenv("AUDIT_SCOPE", "stack")
        handler._config.cache_clear()
        reason = "does not belong to this stack"
    found = invoke(event)
    assert found["outcome"] == "ignored"
    assert reason in found["reason"]
    assert world.moto.requests == []


def after_the_grace(world: World) -> dict[str, Any]:
    """What the note that was waited for brings."""
    world.later(minutes=11)
    return invoke(in_queue({"trellis-audit": {"look-again": "account"}}))


def test_a_break_is_told_once_after_its_grace_and_so_is_its_mend(world: World) -> None:
    queue("orders", GOOD)
    invoke({})
    retag("orders", {}, "Owner")
    broken = tag_change("orders", {key: GOOD[key] for key in GOOD if key != "Owner"}, "Owner")
    for _ in range(3):
        assert invoke(in_queue(broken)) == {"batchItemFailures": []}
    assert len(world.told()) == 1, "nobody is told before the grace is over"
    (note,) = world.sent()
    assert note["DelaySeconds"] == 601
    for _ in range(2):
        after_the_grace(world)
    first, told = world.told()
    assert first["trigger"] == "manual"
    assert (told["trigger"], told["new-findings"], told["resolved-findings"]) == (
        "tag-change",
        1,
        0,
    )
    assert told["worst"] == [
        {
            "arn": arn("orders"),
            "type": "AWS::SQS::Queue",
            "tag": "Owner",
            "problem": "has no tag Owner",
        }
    ]
    assert told["counts"] == {**first["counts"], "compliant": 3, "non-compliant": 1}
    assert told["report"]["bucket"] == BUCKET

    retag("orders", GOOD)
    invoke(in_queue(tag_change("orders", GOOD, "Owner", version=6)))
    after_the_grace(world)
    mended = world.told()[-1]
    assert (mended["new-findings"], mended["resolved-findings"]) == (0, 1)
    assert mended["mended"][0]["problem"] == "Owner was missing"
    assert mended["findings"] == 0
    assert len(world.told()) == 3

    found = invoke({})
    assert (found["new-findings"], found["resolved-findings"]) == (0, 0)


def test_the_same_break_is_told_again_after_it_was_mended(world: World) -> None:
    queue("orders", GOOD)
    invoke({})
    for version in (1, 3):
        retag("orders", {}, "Owner")
        invoke(in_queue(tag_change("orders", {}, "Owner", version=version)))
        after_the_grace(world)
        retag("orders", GOOD)
        invoke(in_queue(tag_change("orders", GOOD, "Owner", version=version + 1)))
        after_the_grace(world)
    assert [one["new-findings"] for one in world.told()[1:]] == [1, 0, 1, 0]


def once(world: World, method: str, meanwhile: Callable[[], Any], answer: Answer | None) -> None:
    """Let something happen just before the memory of the last audit is next read or written."""
    done: list[bool] = []

    def rule(request: Request) -> Answer | None:
        if done or not (request.operation.startswith(method) and "latest-" in request.operation):
            return None
        done.append(True)
        meanwhile()
        return answer

    world.moto.rules.append(rule)


OVERTAKEN = (412, "<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>")
"""S3's answer to IfMatch; moto overlooks it."""


@pytest.mark.parametrize(
    ("method", "answer"), [("GET", None), ("PUT", OVERTAKEN)], ids=["reads", "writes"]
)
def test_an_audit_does_not_undo_a_look_that_ended_before_it(
    method: str, answer: Answer | None, world: World
) -> None:
    queue("orders", GOOD)
    invoke({})

    def lose_a_tag() -> None:
        retag("orders", {}, "Owner")
        invoke(in_queue(tag_change("orders", {}, "Owner")))
        after_the_grace(world)

    world.later(minutes=1)
    once(world, method, lose_a_tag, answer)
    overtaken = invoke({})
    assert (overtaken["new-findings"], overtaken["resolved-findings"]) == (0, 0)
    assert [one["trigger"] for one in world.told()] == ["manual", "tag-change", "manual"]

    world.later(minutes=1)
    found = invoke({})
    assert (found["findings"], found["new-findings"], found["resolved-findings"]) == (1, 0, 0)


def test_an_audit_does_not_undo_one_that_began_later_and_ended_first(world: World) -> None:
    queue("orders", GOOD)
    invoke({})

    def audit_after_a_loss() -> None:
        world.later(seconds=5)
        retag("orders", {}, "Owner")
        assert invoke({})["new-findings"] == 1

    world.later(minutes=1)
    once(world, "GET", audit_after_a_loss, None)
    overtaken = invoke({})
    assert (overtaken["new-findings"], overtaken["resolved-findings"]) == (0, 0)

    world.later(minutes=1)
    found = invoke({})
    assert (found["findings"], found["new-findings"], found["resolved-findings"]) == (1, 0, 0)


def test_an_audit_whose_memory_was_kept_without_an_answer_still_tells(world: World) -> None:
    queue("orders", GOOD)
    since = invoke({})["audit-id"]
    retag("orders", {}, "Owner")
    done: list[bool] = []

    def lose_the_answer(request: Request) -> Answer | None:
        """S3 keeps it, its answer is lost, and what botocore then repeats is refused."""
        if done or not (request.operation.startswith("PUT") and "latest-" in request.operation):
            return None
        done.append(True)
        key = request.operation.removeprefix(f"PUT /{BUCKET}/")
        client("s3").put_object(Bucket=BUCKET, Key=key, Body=request.body.encode())
        return OVERTAKEN

    world.moto.rules.append(lose_the_answer)
    world.later(minutes=1)
    found = invoke({})
    assert (found["new-findings"], found["resolved-findings"]) == (1, 0)
    assert world.told()[-1]["new-findings"] == 1
    assert world.report()["difference"]["since"] == since

    world.later(minutes=1)
    assert invoke({})["new-findings"] == 0


def audit_that_cannot_tell(world: World) -> None:
    """An audit that finds a tag missing, and whose event nobody takes."""
    queue("orders", GOOD)
    invoke({})
    retag("orders", {}, "Owner")
    world.later(minutes=1)
    world.moto.refuse("PutEvents", "AccessDeniedException", times=1)
    assert invoke(in_queue(SCHEDULED))["batchItemFailures"]
    world.later(minutes=1)


def test_what_an_audit_could_not_tell_the_next_one_tells_once(world: World) -> None:
    audit_that_cannot_tell(world)
    assert [invoke({})["new-findings"] for _ in range(2)] == [1, 0]


def test_what_an_audit_could_not_tell_a_look_tells_once(world: World) -> None:
    audit_that_cannot_tell(world)
    invoke(in_queue(tag_change("orders", {}, "Owner")))
    after_the_grace(world)
    told = world.told()[-1]
    assert (told["trigger"], told["new-findings"]) == ("tag-change", 1)
    world.later(minutes=1)
    assert invoke({})["new-findings"] == 0


def test_what_could_not_be_told_waits_while_nobody_can_read_it(world: World) -> None:
    audit_that_cannot_tell(world)
    world.moto.refuse("GetResources", "AccessDeniedException", times=1)
    unread = invoke({})
    assert (unread["unknown"], unread["new-findings"]) == (4, 0)
    world.later(minutes=1)
    assert [invoke({})["new-findings"] for _ in range(2)] == [1, 0]


def test_a_mend_that_could_not_be_told_is_told_by_the_next_audit(world: World) -> None:
    queue("orders", {"Project": "bakery", "CostCenter": "CC-4242"})
    invoke({})
    retag("orders", GOOD)
    world.later(minutes=1)
    world.moto.refuse("PutEvents", "AccessDeniedException", times=1)
    invoke(in_queue(SCHEDULED))
    world.later(minutes=1)
    assert [invoke({})["resolved-findings"] for _ in range(2)] == [1, 0]


def test_an_audit_that_is_overtaken_again_and_again_says_so(world: World) -> None:
    world.moto.rules.append(
        lambda request: (
            OVERTAKEN
            if request.operation.startswith("PUT /") and "latest-" in request.operation
            else None
        )
    )
    with pytest.raises(StoreError, match="changed by others 5 times"):
        invoke({})
    assert world.told() == []


def test_what_an_earlier_version_remembered_is_understood() -> None:
    at = datetime(2026, 11, 24, 9, tzinfo=UTC)
    untold = {"arn": [("Owner", "missing")], "new": []}
    memory = Memory(audit_id="a", at=at, began=at, looked={"arn": at}, untold=untold)
    written = json.loads(memory.to_text())
    assert Memory.from_text(memory.to_text()) == memory
    del written["began"], written["looked"], written["untold"]
    assert Memory.from_text(json.dumps(written)) == replace(memory, looked={}, untold={})


def test_the_first_memory_is_written_by_one_alone(world: World) -> None:
    store = BucketStore(Aws(Paces(time.monotonic, time.sleep), clients), "us-east-1", BUCKET)
    assert store.read_marked("audits/first.json") is None
    assert store.replace("audits/first.json", "1", None)
    assert not store.replace("audits/first.json", "2", None)
    assert store.read("audits/first.json") == "1"


def test_what_is_mended_within_its_grace_is_never_told(world: World) -> None:
    queue("orders", GOOD)
    invoke({})
    invoke(in_queue(tag_change("orders", {}, "Owner", version=1)))
    invoke(in_queue(tag_change("orders", GOOD, "Owner", version=2)))
    after_the_grace(world)
    assert len(world.told()) == 1


def test_a_burst_of_tag_events_is_one_message(world: World) -> None:
    names = [f"orders-{number}" for number in range(12)]
    for name in names:
        queue(name)
    invoke(in_queue(*[tag_change(name, {}, "Owner") for name in names]))
    assert len(world.sent()) == 1
    after_the_grace(world)
    (told,) = world.told()
    assert told["new-findings"] == 36
    assert len(told["worst"]) == 10


def test_more_looks_than_fit_are_done_in_turn_and_the_oldest_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_look, "_MOST_RESOURCES", 5)
    names = [f"orders-{number:02}" for number in range(12)]
    for name in reversed(names):
        queue(name)
        invoke(in_queue(*[tag_change(name, {}, "Owner", version=one) for one in (1, 2)]))
        world.later(seconds=1)
    queue("later")
    world.later(minutes=5)
    invoke(in_queue(tag_change("later", {}, "Owner")))
    world.notes()
    world.later(minutes=6)
    rounds = 0
    note: dict[str, Any] = {"trellis-audit": {"look-again": "account"}}
    while rounds < 5:
        assert invoke(in_queue(note)) == {"batchItemFailures": []}
        rounds += 1
        if world.sent()[-1]["DelaySeconds"] > 0:
            break
        (note,) = world.notes()
    assert rounds == 3
    assert [one["new-findings"] for one in world.told()] == [15, 15, 6]
    seen = [{each["arn"] for each in one["worst"]} for one in world.told()]
    assert seen[0] <= {arn(name) for name in names[7:]}
    assert seen[2] == {arn(name) for name in names[:2]}

    world.later(minutes=6)
    invoke(in_queue(note))
    assert world.told()[-1]["worst"][0]["arn"] == arn("later")


def test_events_out_of_order_end_with_the_truth(world: World) -> None:
    queue("orders", GOOD)
    invoke({})
    invoke(in_queue(tag_change("orders", GOOD, "Owner", version=8)))
    invoke(in_queue(tag_change("orders", {}, "Owner", version=7)))
    after_the_grace(world)
    assert len(world.told()) == 1


def test_where_nobody_can_read_it_again_the_newest_event_counts(world: World) -> None:
    stream = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"
    invoke(in_queue(tag_change("", {}, "Owner", version=9, source=stream)))
    invoke(in_queue(tag_change("", GOOD, "Owner", version=8, source=stream)))
    after_the_grace(world)
    (told,) = world.told()
    assert told["new-findings"] == 3


def test_what_is_gone_after_its_grace_is_not_told(world: World) -> None:
    invoke(in_queue(tag_change("gone", {}, "Owner")))
    after_the_grace(world)
    assert world.told() == []


def test_a_look_that_comes_too_early_waits(world: World) -> None:
    queue("orders")
    invoke(in_queue(tag_change("orders", {}, "Owner")))
    world.later(minutes=5)
    invoke(in_queue({"trellis-audit": {"look-again": "account"}}))
    assert world.told() == []
    assert [one["DelaySeconds"] for one in world.sent()] == [601, 301]
    world.later(minutes=6)
    invoke(in_queue({"trellis-audit": {"look-again": "account"}}))
    assert len(world.told()) == 1


def test_what_was_just_made_gets_its_grace_and_a_second_look(world: World) -> None:
    client("logs").create_log_group(logGroupName="/fresh")
    invoke(in_queue(SCHEDULED))
    fresh = next(one for one in world.report()["resources"] if "log-group" in one["arn"])
    assert fresh["verdict"] == "unknown"
    assert "looked at again" in fresh["reason"]
    assert world.told()[0]["findings"] == 0
    (note,) = world.sent()
    assert note["DelaySeconds"] == 601
    after_the_grace(world)
    told = world.told()[-1]
    assert (told["new-findings"], told["worst"][0]["arn"]) == (3, fresh["arn"])


def test_what_was_tagged_within_its_grace_is_never_blamed(world: World) -> None:
    client("logs").create_log_group(logGroupName="/fresh")
    invoke(in_queue(SCHEDULED))
    client("logs").tag_log_group(logGroupName="/fresh", tags=GOOD)
    after_the_grace(world)
    assert len(world.told()) == 1


def test_a_person_who_asks_now_is_answered_now(world: World) -> None:
    client("logs").create_log_group(logGroupName="/fresh")
    assert invoke({})["counts"]["non-compliant"] == 1


def test_what_is_created_without_tags_is_looked_at_after_its_grace(world: World) -> None:
    queue("created")
    event = {
        "source": "aws.sqs",
        "detail-type": "AWS API Call via CloudTrail",
        "time": "2026-11-24T09:00:00Z",
        "detail": {
            "eventSource": "sqs.amazonaws.com",
            "eventName": "CreateQueue",
            "awsRegion": "us-east-1",
            "recipientAccountId": ACCOUNT,
            "requestParameters": {"queueName": "created"},
            "responseElements": {
                "queueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/created"
            },
        },
    }
    invoke(in_queue(event))
    after_the_grace(world)
    (told,) = world.told()
    assert told["worst"][0]["arn"] == arn("created")


def launched(tags: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """An instance with these tags, and the event of its launch."""
    ec2 = client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    (made,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    if tags:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        ec2.create_tags(Resources=[made["InstanceId"]], Tags=pairs)
    items = [{"instanceId": made["InstanceId"]}]
    return made["InstanceId"], {
        "source": "aws.ec2",
        "detail-type": "AWS API Call via CloudTrail",
        "time": "2026-11-24T09:00:00Z",
        "detail": {
            "eventSource": "ec2.amazonaws.com",
            "eventName": "RunInstances",
            "awsRegion": "us-east-1",
            "recipientAccountId": ACCOUNT,
            "readOnly": False,
            "responseElements": {"instancesSet": {"items": items}},
        },
    }


@pytest.mark.parametrize("tags", [{}, {"Name": "a try"}], ids=["untagged", "half tagged"])
def test_an_instance_that_was_terminated_within_its_grace_is_not_told(
    world: World, tags: dict[str, str]
) -> None:
    instance, event = launched(tags)
    invoke(in_queue(event))
    client("ec2").terminate_instances(InstanceIds=[instance])
    after_the_grace(world)
    assert world.told() == []


def test_an_instance_that_runs_untagged_is_told(world: World) -> None:
    instance, event = launched({})
    invoke(in_queue(event))
    after_the_grace(world)
    (told,) = world.told()
    assert told["worst"][0]["arn"].endswith(instance)


# This stack's own resources.


@pytest.fixture
def bakery(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A stack with a queue, a role, an application with a version, and its remedy's switch."""
    monkeypatch.setenv("AUDIT_SCOPE", "stack")
    handler._config.cache_clear()
    world.moto.rules.clear()
    iam = client("iam")
    iam.create_role(RoleName="bakery-role", AssumeRolePolicyDocument="{}")
    iam.tag_role(
        RoleName="bakery-role", Tags=[{"Key": key, "Value": value} for key, value in ALL.items()]
    )
    version = f"arn:aws:elasticbeanstalk:us-east-1:{ACCOUNT}:applicationversion/bakery-demo/v1"
    world.moto.rules += [
        listed(
            {
                "LogicalResourceId": "Orders",
                "PhysicalResourceId": f"http://x/{ACCOUNT}/bakery-orders-demo",
                "ResourceType": "AWS::SQS::Queue",
            },
            {
                "LogicalResourceId": "Role",
                "PhysicalResourceId": "bakery-role",
                "ResourceType": "AWS::IAM::Role",
            },
            {
                "LogicalResourceId": "BeanstalkApplication",
                "PhysicalResourceId": "bakery-demo",
                "ResourceType": "AWS::ElasticBeanstalk::Application",
            },
            {
                "LogicalResourceId": "Permission",
                "PhysicalResourceId": "x",
                "ResourceType": "AWS::Lambda::Permission",
            },
        ),
        answer(
            "DescribeApplicationVersions",
            "<ApplicationVersions><member><ApplicationVersionArn>"
            f"{version}</ApplicationVersionArn></member></ApplicationVersions>",
        ),
    ]
    world.moto.requests.clear()
    return world


def beanstalk_tags(world: World, tags: dict[str, str]) -> None:
    members = "".join(
        f"<member><Key>{key}</Key><Value>{value}</Value></member>" for key, value in tags.items()
    )
    world.moto.rules.append(empty("ListTagsForResource", f"<ResourceTags>{members}</ResourceTags>"))


def verdicts(world: World) -> dict[str, str]:
    return {name: one["verdict"] for name, one in world.resources().items()}


def test_beanstalk_and_roles_are_judged_by_their_own_apis(bakery: World) -> None:
    queue("bakery-orders-demo", ALL)
    beanstalk_tags(bakery, ALL)
    invoke({})
    assert verdicts(bakery) == {
        "bakery-orders-demo": "compliant",
        "bakery-role": "compliant",
        "bakery-demo": "compliant",
        "v1": "compliant",
        "Permission": "untaggable",
    }
    assert bakery.resources()["bakery-role"]["sources"] == ["stack", "service"]


def test_what_cloudformation_cannot_tag_is_named_while_the_remedy_is_off(bakery: World) -> None:
    queue("bakery-orders-demo", ALL)
    beanstalk_tags(bakery, {})
    found = invoke({})
    assert found["counts"]["non-compliant"] == 0
    assert verdicts(bakery)["bakery-demo"] == "untaggable"
    assert verdicts(bakery)["v1"] == "untaggable"
    assert (
        "the remedy can, by its own API (AuditRemedy)"
        in (bakery.resources()["bakery-demo"]["reason"])
    )


def test_this_stacks_resources_need_this_stacks_values(bakery: World) -> None:
    queue("bakery-orders-demo", {**ALL, "Environment": "prod"})
    beanstalk_tags(bakery, ALL)
    invoke({})
    (finding,) = bakery.resources()["bakery-orders-demo"]["findings"]
    assert (finding["tag"], finding["problem"], finding["suggestion"]) == (
        "Environment",
        "not-allowed",
        "shared",
    )


def test_a_dry_run_of_the_remedy_changes_nothing(bakery: World) -> None:
    queue("bakery-orders-demo", {"Owner": "somebody-else"})
    beanstalk_tags(bakery, {})
    found = invoke({"remedy": "dry-run"})
    assert found["remedied"] == 0
    changes = bakery.report()["remedy"]["changes"]
    assert len(changes) == 4 + 5 + 5
    assert not any(one["done"] for one in changes)
    for operation in ("TagResources", "UpdateTagsForResource", "TagRole"):
        assert bakery.moto.asked(operation) == 0


def test_the_remedy_adds_what_is_missing_and_never_overwrites(
    bakery: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_REMEDY", "on")
    handler._config.cache_clear()
    queue("bakery-orders-demo", {"Owner": "somebody-else", "Project": ""})
    beanstalk_tags(bakery, {})
    bakery.moto.rules.append(empty("UpdateTagsForResource"))

    def tag(request: Any) -> Any:
        if request.operation != "TagResources":
            return None
        retag("bakery-orders-demo", json.loads(request.body)["Tags"])
        return 200, {"FailedResourcesMap": {}}

    bakery.moto.rules.append(tag)
    found = invoke({})
    assert found["remedied"] == 3 + 5 + 5
    orders = bakery.resources()["bakery-orders-demo"]
    assert orders["verdict"] == "non-compliant"
    assert orders["remedied"] == ["CostCenter", "Environment", "ManagedBy"]
    assert [(one["tag"], one["problem"]) for one in orders["findings"]] == [
        ("Project", "empty"),
        ("Owner", "not-allowed"),
    ]
    assert verdicts(bakery)["bakery-demo"] == "compliant"
    url = client("sqs").get_queue_url(QueueName="bakery-orders-demo")["QueueUrl"]
    assert client("sqs").list_queue_tags(QueueUrl=url)["Tags"] == {
        **ALL,
        "Owner": "somebody-else",
        "Project": "",
    }
    assert bakery.told()[0]["remedied"] == 13


def test_a_remedy_that_runs_out_of_time_is_told_and_the_next_audit_goes_on(
    bakery: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_REMEDY", "on")
    handler._config.cache_clear()
    queue("bakery-orders-demo", ALL)
    beanstalk_tags(bakery, {})
    bakery.moto.rules.append(empty("UpdateTagsForResource"))

    def remaining() -> int:
        """Hardly any time once a resource has its tags."""
        return 40_000 if bakery.moto.asked("UpdateTagsForResource") else 300_000

    found = invoke({}, remaining)
    assert found["remedied"] == 5
    late = [one for one in bakery.report()["remedy"]["changes"] if not one["done"]]
    assert {one["error"] for one in late} == {"the time ran out: the next audit adds it"}
    assert len(late) == 5
    assert bakery.told()[0]["remedied"] == 5


def test_the_remedy_cannot_be_switched_on_by_hand(bakery: World) -> None:
    with pytest.raises(NotAllowedError, match="deploy it with AuditRemedy=on"):
        invoke({"remedy": "on"})
    assert bakery.moto.requests == []


def test_a_resource_that_lost_every_tag_is_still_this_stacks(bakery: World) -> None:
    queue("bakery-orders-demo", ALL)
    beanstalk_tags(bakery, ALL)
    invoke({})
    retag("bakery-orders-demo", {}, *ALL)
    event = tag_change("bakery-orders-demo", {}, *ALL)
    assert invoke(event)["verdict"] == "non-compliant"
    bakery.later(minutes=11)
    invoke(in_queue({"trellis-audit": {"look-again": "stack"}}))
    assert bakery.told()[-1]["new-findings"] == 5


def test_a_stranger_that_lost_every_tag_is_not_told(bakery: World) -> None:
    queue("bakery-orders-demo", ALL)
    beanstalk_tags(bakery, ALL)
    queue("theirs")
    invoke({})
    invoke(in_queue(tag_change("theirs", {}, "Owner", "Project")))
    bakery.later(minutes=11)
    invoke(in_queue({"trellis-audit": {"look-again": "stack"}}))
    assert len(bakery.told()) == 1
