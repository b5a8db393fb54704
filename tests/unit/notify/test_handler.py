"""notify as it is deployed, on SNS, SQS and DynamoDB as moto models them.

moto does not model what notify asks CodePipeline, so here nothing answers at its address: the
messages go out all the same.
"""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from notify import handler, wiring
from notify.deliver import DeliveryError
from notify.errors import UnreadableError
from tests.unit.notify.chat_server import ChatServer, running
from tests.unit.notify.samples import FOLDER, in_queue, sample
from trellis.errors import ConfigError
from trellis.observability import logger


class Stack:
    """The resources that the template makes, and a mailbox subscribed to the topic."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs")
        sns, dynamodb = boto3.client("sns"), boto3.client("dynamodb")
        self.topic = sns.create_topic(Name="shop")["TopicArn"]
        self.mailbox = self.sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        self.queue = self.sqs.create_queue(QueueName="shop-notify-main")["QueueUrl"]
        self.grave = self.sqs.create_queue(QueueName="shop-notify-dead-letters")["QueueUrl"]
        sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:mailbox",
        )
        dynamodb.create_table(
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
        )

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self._taken(self.mailbox)]

    def sent_back(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self._taken(self.queue)]

    def buried(self) -> list[Any]:
        found = self.sqs.receive_message(
            QueueUrl=self.grave, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return list(found.get("Messages", []))

    def _taken(self, url: str) -> list[str]:
        bodies: list[str] = []
        while True:
            found = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0
            ).get("Messages", [])
            if not found:
                return bodies
            for message in found:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def forget() -> None:
    """As a new execution environment begins."""
    for made in (handler._config, wiring._fittings, wiring._provider):
        made.cache_clear()


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    forget()
    with mock_aws():
        made = Stack()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODEPIPELINE", "http://127.0.0.1:9")
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", made.topic)
        monkeypatch.setenv("LEDGER_TABLE_NAME", "ledger")
        monkeypatch.setenv("NOTIFY_QUEUE_URL", made.queue)
        monkeypatch.setenv("NOTIFY_DEAD_LETTER_QUEUE_URL", made.grave)
        monkeypatch.setenv("LONE_ACTION_WAIT_SECONDS", "0")
        monkeypatch.setenv("SILENT_API_WAIT_SECONDS", "0")
        yield made
    forget()


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return handler.lambda_handler(event, None)


def test_its_counters_name_the_stack(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACK_NAME", "shop-main")
    handle(in_queue(sample("tag-change")))
    handle(in_queue(sample("tag-change")))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line["EventsHandled"] for line in lines] == [[1], [1]]
    for line in lines:
        [described] = line["_aws"]["CloudWatchMetrics"]
        assert "stack" in described["Dimensions"][0]
        assert line["stack"] == "shop-main"


def test_an_approval_is_answered_on_the_pipelines_page_before_the_pipeline_gives_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPROVAL_TIMEOUT_MINUTES", "90")
    forget()
    handle(in_queue({**sample("approval-requested"), "time": "2026-11-24T09:10:00Z"}))
    (mail,) = stack.mails()
    assert re.search(r"^Answer before: .*10:40", mail["Message"], re.MULTILINE)
    assert re.search(
        r"^Approve or reject:\n\S+/pipelines/shop-pipeline-main/view\?",
        mail["Message"],
        re.MULTILINE,
    )


def test_tells_by_mail_that_an_approval_is_wanted(stack: Stack) -> None:
    assert handle(in_queue(sample("approval-requested"))) == {"batchItemFailures": []}
    (mail,) = stack.mails()
    assert mail["Subject"].startswith("[ACTION] Your approval is needed: shop-pipeline-main")
    assert "What to do next" in mail["Message"]
    assert "/executions/5b7c9d31-6a0e-4c1f-9d7a-2f8e41c0b6a3/" in mail["Message"]


def test_takes_an_event_that_comes_without_a_queue(stack: Stack) -> None:
    assert handle(sample("pipeline-succeeded")) == {}
    assert [mail["Subject"][:4] for mail in stack.mails()] == ["[OK]"]


def test_a_repeat_is_not_sent_again(stack: Stack) -> None:
    for _ in range(3):
        handle(in_queue(sample("approval-requested"), sample("approval-requested")))
    assert len(stack.mails()) == 1


def test_a_failed_action_goes_back_to_the_queue_once_and_is_then_told(stack: Stack) -> None:
    handle(in_queue(sample("build-action-failed")))
    assert stack.mails() == []
    (again,) = stack.sent_back()
    handle(in_queue(again))
    (mail,) = stack.mails()
    assert mail["Subject"] == (
        "[FAILED] Build failed in shop-pipeline-main (us-east-1): python -m unittest: exit status 1"
    )
    assert stack.sent_back() == []


def test_a_failed_run_is_one_mail_that_names_the_action(stack: Stack) -> None:
    handle(in_queue(sample("stage-failed"), sample("pipeline-failed")))
    handle(in_queue(sample("build-action-failed")))
    for _ in range(3):
        if back := stack.sent_back():
            handle(in_queue(*back))
    (mail,) = stack.mails()
    assert "Action: Build" in mail["Message"]
    assert "exit status 1" in mail["Message"]


def test_the_mail_says_what_a_success_recovered_from(stack: Stack) -> None:
    failed = sample("build-action-failed", execution_id="11111111-0000-4000-8000-000000000001")
    handle(in_queue({**failed, "trellis-deferred": "waited"}))
    handle(in_queue(sample("pipeline-succeeded")))
    assert "recovered after 1 failure" in stack.mails()[-1]["Message"]
    later = sample("pipeline-succeeded", execution_id="11111111-0000-4000-8000-000000000002")
    handle(in_queue({**later, "time": "2026-11-25T09:00:00Z"}))
    assert "recovered" not in stack.mails()[-1]["Message"]


def test_one_message_that_nobody_can_read_harms_no_other(stack: Stack) -> None:
    answer = handle(in_queue("no JSON at all", sample("pipeline-succeeded"), {"source": "x"}))
    assert answer == {"batchItemFailures": []}
    assert len(stack.mails()) == 1


def test_only_what_was_not_delivered_comes_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:gone")
    forget()
    answer = handle(in_queue(sample("stage-started"), sample("approval-requested")))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", stack.topic)
    forget()
    handle(in_queue(sample("approval-requested"), received=2))
    (mail,) = stack.mails()
    assert "may repeat" not in mail["Message"]


def test_a_dry_run_shows_what_would_be_sent_and_touches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget()
    monkeypatch.setenv("DRY_RUN", "true")
    found = handle(sample("approval-requested"))
    assert found["outcome"] == "rendered"
    assert found["would_send"][0] == "email"
    assert found["renderings"]["email"]["subject"].startswith("[ACTION]")
    batch = handle(in_queue(sample("pipeline-started"), "no JSON"))
    assert [item["outcome"] for item in batch["items"]] == ["rendered", "unrecognised"]
    forget()


GONE = "arn:aws:sns:us-east-1:123456789012:gone"


def test_what_was_tried_to_the_last_is_buried_with_its_reason(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", GONE)
    forget()
    event = sample("approval-requested")
    assert handle(in_queue(event, received=4))["batchItemFailures"] != []
    assert stack.buried() == []
    assert handle(in_queue(event, received=5)) == {"batchItemFailures": []}
    (dead,) = stack.buried()
    assert json.loads(dead["Body"]) == event
    assert dead["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "DeliveryError"
    reason = dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert "SNS did not take the message" in reason


def test_an_event_handed_over_by_itself_raises_so_that_lambda_tries_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", GONE)
    forget()
    with pytest.raises(DeliveryError):
        handle(sample("approval-requested"))


def test_while_the_ledger_is_away_messages_wait_and_at_last_go_out_marked(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_TABLE_NAME", "gone")
    forget()
    event = sample("approval-requested")
    assert handle(in_queue(event))["batchItemFailures"] != []
    assert stack.mails() == []
    assert handle(in_queue(event, received=5)) == {"batchItemFailures": []}
    (mail,) = stack.mails()
    assert "This message may repeat one you have already had." in mail["Message"]


def test_the_chat_channels_come_from_the_secret(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(ChatServer()) as server:
        set_up_chat(
            {
                "slack": {"webhook_url": f"{server.url}/hook"},
                "teams": {"webhook_url": f"{server.url}/teams"},
                "pagerduty": {"routing_key": "R" * 32, "events_url": server.url},
                "webhook": {"url": f"{server.url}/receiver", "signing_key": "k" * 32},
            },
            monkeypatch,
        )
        event = sample("build-action-failed")
        assert handle(in_queue({**event, "trellis-deferred": "waited"})) == {
            "batchItemFailures": []
        }
        assert [len(server.hooks), len(server.cards)] == [1, 1]
        assert [len(server.open_pages), len(server.deliveries)] == [1, 1]
        assert len(stack.mails()) == 1


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        ({"slack": {"webhook_url": "http://example.com/hook"}}, "slack.webhook_url"),
        ({"teams": {"webhook_url": "https://[TENANT].example.com/hook"}}, "teams.webhook_url"),
        ({"mattermost": {}}, "mattermost"),
        ("no JSON", "JSON object"),
        (None, "let this function read it"),
    ],
)
def test_a_wrong_secret_still_lets_the_mail_out_and_is_complained_about(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, secret: object, complaint: str
) -> None:
    set_up_chat(secret, monkeypatch)
    answer = handle(in_queue(sample("approval-requested")))
    assert len(answer["batchItemFailures"]) == 1
    assert len(stack.mails()) == 1
    handle(in_queue(sample("approval-requested"), received=5))
    assert stack.mails() == []
    (dead,) = stack.buried()
    reason = dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert complaint in reason
    assert "example.com" not in reason


def test_an_event_of_ours_from_a_newer_version_is_tried_again_and_then_kept(stack: Stack) -> None:
    newer = sample("rollback-failed", schema_version="2.0")
    assert len(handle(in_queue(newer))["batchItemFailures"]) == 1
    assert handle(in_queue(newer, received=5)) == {"batchItemFailures": []}
    (dead,) = stack.buried()
    assert "schema version" in dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert json.loads(dead["Body"]) == newer
    with pytest.raises(UnreadableError):
        handle(newer)


def test_what_nobody_knows_is_counted_and_does_not_come_again(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = {"source": "aws.something", "detail-type": "New", "detail": {}}
    assert handle(in_queue(unknown)) == {"batchItemFailures": []}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line["EventsUnrecognised"] for line in lines] == [[1]]
    assert stack.buried() == []


def test_a_route_to_a_channel_that_is_not_set_up_is_complained_about(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_ROUTES", "action=email+teams")
    forget()
    answer = handle(in_queue(sample("approval-requested")))
    assert len(answer["batchItemFailures"]) == 1
    assert len(stack.mails()) == 1


CHAT_ALONE = "critical=all error=slack+pagerduty action=slack success=slack info=slack"


@pytest.mark.parametrize("routes", [CHAT_ALONE, ""])
@pytest.mark.parametrize("name", ["approval-requested", "alarm-on", "pipeline-started"])
def test_what_goes_to_chat_channels_alone_comes_again_until_their_secret_is_mended(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str, routes: str
) -> None:
    monkeypatch.setenv("NOTIFICATION_ROUTES", routes)
    monkeypatch.setattr("time.sleep", lambda _: None)
    event = {**sample(name), "trellis-deferred": "waited"}
    with running(ChatServer()) as server:
        whole = {
            "slack": {"webhook_url": f"{server.url}/hook"},
            "pagerduty": {"routing_key": "R" * 32, "events_url": server.url},
        }
        set_up_chat(json.dumps(whole)[:-1], monkeypatch)  # somebody forgot a brace
        for tries in (1, 2):
            assert handle(in_queue(event, received=tries))["batchItemFailures"] != []
        mend_chat(whole)
        assert handle(in_queue(event, received=3)) == {"batchItemFailures": []}
        assert len(server.hooks) == 1
        assert len(server.open_pages) == (name == "alarm-on")
    is_mailed = not routes and name != "pipeline-started"
    assert len(stack.mails()) == is_mailed


def test_what_goes_by_mail_alone_does_not_wait_for_the_chat_channels(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_ROUTES", "action=email error=all")
    set_up_chat("no JSON", monkeypatch)
    assert handle(in_queue(sample("approval-requested"))) == {"batchItemFailures": []}
    assert len(stack.mails()) == 1


def test_a_route_to_a_channel_that_the_secret_lacks_costs_the_others_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_ROUTES", f"{CHAT_ALONE} warning=slack+teams")
    with running(ChatServer()) as server:
        set_up_chat(
            {
                "slack": {"webhook_url": f"{server.url}/hook"},
                "pagerduty": {"routing_key": "R" * 32, "events_url": server.url},
            },
            monkeypatch,
        )
        assert handle(in_queue(sample("alarm-on"))) == {"batchItemFailures": []}
        assert [len(server.hooks), len(server.open_pages)] == [1, 1]
        warning = sample("health-warning")
        assert len(handle(in_queue(warning))["batchItemFailures"]) == 1
        assert len(server.hooks) == 2
        handle(in_queue(warning, received=5))
        assert len(server.hooks) == 2
    (dead,) = stack.buried()
    assert "teams" in dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]


def test_a_route_to_chat_channels_without_a_secret_ends_among_the_dead_letters(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_ROUTES", CHAT_ALONE)
    forget()
    assert len(handle(in_queue(sample("alarm-on")))["batchItemFailures"]) == 1
    handle(in_queue(sample("alarm-on"), received=5))
    (dead,) = stack.buried()
    assert "add pagerduty, slack" in dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert stack.mails() == []


def test_a_routing_table_that_does_not_read_stops_the_cold_start(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_ROUTES", "eror=email")
    forget()
    with pytest.raises(ConfigError, match="NOTIFICATION_ROUTES is 'eror=email'"):
        handle(in_queue(sample("approval-requested")))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Every line of the log as CloudWatch gets it."""
    written = io.StringIO()
    copy = logging.StreamHandler(written)
    copy.setFormatter(logger.registered_formatter)
    logger.addHandler(copy)
    yield written
    logging.getLogger(logger.name).removeHandler(copy)


def test_a_job_with_credentials_is_refused_and_nothing_of_it_is_logged(
    stack: Stack, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    job = json.loads((FOLDER / "codepipeline-job.json").read_text())
    handle(in_queue(job))
    handle(job)
    written = log.getvalue() + capsys.readouterr().out
    assert written.count("a CodePipeline job is for its worker alone") == 2
    for secret in ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", "EXAMPLETOKEN"):
        assert secret not in written
    assert stack.mails() == []


def test_no_secret_of_an_error_text_reaches_a_mail_or_the_log(
    stack: Stack, log: io.StringIO
) -> None:
    leak = "push failed: token=ghp_0123456789abcdefghijABCDEFGHIJ456789 AKIAIOSFODNN7EXAMPLE"
    event = sample("build-action-failed", execution_result={"external-execution-summary": leak})
    handle(in_queue({**event, "trellis-deferred": "waited"}))
    (mail,) = stack.mails()
    written = mail["Message"] + mail["Subject"] + log.getvalue()
    assert "push failed: token=" in mail["Message"]
    assert "ghp_0123456789" not in written
    assert "AKIAIOSFODNN7EXAMPLE" not in written


def test_one_line_is_logged_for_each_decision_with_what_it_is_about(
    stack: Stack, log: io.StringIO
) -> None:
    handle(in_queue(sample("approval-requested")))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    judged = next(line for line in lines if line["message"] == "judged")
    assert judged["pipeline"] == "shop-pipeline-main"
    assert judged["execution"] == "5b7c9d31-6a0e-4c1f-9d7a-2f8e41c0b6a3"
    assert judged["reason"] == "a person has to decide"


class Context:
    """Lambda's context, as much of it as is read."""

    aws_request_id = "request-1"

    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


@pytest.mark.parametrize(("received", "comes_again"), [(1, 2), (5, 0)])
def test_what_there_is_no_time_left_for_comes_again_and_is_no_dead_letter(
    stack: Stack, received: int, comes_again: int
) -> None:
    events = (sample("approval-requested"), sample("pipeline-succeeded"))
    answer = handler.lambda_handler(in_queue(*events, received=received), Context(9_000))
    assert len(answer["batchItemFailures"]) == comes_again
    assert stack.mails() == []
    assert stack.buried() == []
    time.sleep(0 if comes_again else 1.1)  # a message sent back rests for a second
    assert len(stack.sent_back()) == 2 - comes_again
    handler.lambda_handler(in_queue(*events), Context(60_000))
    assert len(stack.mails()) == 2


def set_up_chat(secret: object, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gone"
    if secret is not None:
        text = secret if isinstance(secret, str) else json.dumps(secret)
        made = boto3.client("secretsmanager").create_secret(Name="chat", SecretString=text)
        arn = made["ARN"]
    monkeypatch.setenv("CHAT_SECRET_ARN", arn)
    forget()


def mend_chat(secret: object) -> None:
    boto3.client("secretsmanager").put_secret_value(
        SecretId="chat", SecretString=json.dumps(secret)
    )
    forget()
