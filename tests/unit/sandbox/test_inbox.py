"""The e-mails that SNS sends: what they say, how many a second, what Publish refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.inbox import (
    DEACTIVATED_FILE,
    Inbox,
    PublishError,
    Subscriber,
    check_message,
    check_subject,
    message_for,
)

TOPIC = "arn:aws:sns:us-east-1:123456789012:releases"
READER = Subscriber("123456789012", "us-east-1", TOPIC, f"{TOPIC}:1", "team@example.com")


@pytest.mark.parametrize("subject", ["x" * 100, "two\nlines", "a\ttab", "\x7f", "bell\x07"])
def test_a_subject_that_sns_does_not_take_is_refused(subject: str) -> None:
    with pytest.raises(PublishError, match="Invalid parameter: Subject"):
        check_subject(subject)


@pytest.mark.parametrize("subject", ["", None, "x" * 99, "Störung in Prod 🚨"])
def test_a_subject_below_100_characters_without_control_characters_is_taken(
    subject: str | None,
) -> None:
    check_subject(subject)


@pytest.mark.parametrize(
    ("message", "structure", "problem"),
    [
        ("", None, "Empty message"),
        ("{", "json", "failed to parse"),
        ('{"email": "x"}', "json", "No default entry"),
        ('{"default": 1}', "json", "No default entry"),
        ("{}", "xml", "MessageStructure"),
    ],
)
def test_a_message_that_sns_does_not_take_is_refused(
    message: str, structure: str | None, problem: str
) -> None:
    with pytest.raises(PublishError, match=problem):
        check_message(message, structure)


def test_each_protocol_gets_its_own_body_and_the_others_the_default() -> None:
    message = json.dumps({"default": "short", "email": "long", "sqs": {"not": "text"}})
    check_message(message, "json")
    assert message_for("email", message, "json") == "long"
    assert message_for("sqs", message, "json") == "short"
    assert message_for("email", message, None) == message


def test_a_notification_is_a_file_with_the_text_as_it_is_read(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, "https://127.0.0.1:4566/_sandbox/mail")
    assert inbox.send(READER, None, "Prod serves v1 — ☀", "m-1")
    [mail] = inbox.mails()
    assert mail["subject"] == "AWS Notification Message"
    assert mail["body"].startswith("Prod serves v1 — ☀\n\n--\nIf you wish to stop receiving")
    assert "/unsubscribe?SubscriptionArn=arn%3Aaws%3Asns" in mail["body"]
    assert (mail["to"], mail["topic"], mail["region"]) == ("team@example.com", TOPIC, "us-east-1")


def test_a_confirmation_carries_its_token_and_link(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, "https://here")
    mail = inbox.ask(READER, "t0ken")
    assert mail.subject == "AWS Notification - Subscription Confirmation"
    assert mail.link.startswith("https://here/confirm?")
    assert mail.link in mail.body
    assert inbox.mails()[0]["token"] == "t0ken"


def test_the_eleventh_email_in_a_second_deactivates_and_is_written_down(tmp_path: Path) -> None:
    now = 100.0
    inbox = Inbox(tmp_path, "https://here", clock=lambda: now)
    assert all(inbox.send(READER, f"n {n}", "x", "m") for n in range(10))
    assert not inbox.send(READER, "one too many", "x", "m")
    other_region = Subscriber("123456789012", "us-west-2", TOPIC, f"{TOPIC}:2", "b@example.com")
    assert inbox.send(other_region, "elsewhere", "x", "m")
    [line] = (tmp_path / DEACTIVATED_FILE).read_text().splitlines()
    entry = json.loads(line)
    assert (entry["address"], entry["lost_subject"]) == ("team@example.com", "one too many")
    now = 101.0
    assert inbox.send(READER, "a second later", "x", "m")
