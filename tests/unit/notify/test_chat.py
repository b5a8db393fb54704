from __future__ import annotations

import json
from typing import Any

import pytest

from notify.chat import ChatSettings, senders
from notify.route import Channel
from tests.unit.trellis.memory_table import MemoryTable
from trellis.errors import ConfigError
from trellis.ledger import Ledger

WHOLE: dict[str, Any] = {
    "slack": {"bot_token": "xoxb-secret-token", "channel": "C0123456789"},
    "teams": {"webhook_url": "https://example.com/secret-path"},
    "pagerduty": {"routing_key": "R" * 32},
    "webhook": {"url": "https://example.com/secret-path", "signing_key": "secret-key-of-length"},
}


def read(secret: object) -> ChatSettings:
    return ChatSettings.from_secret(json.dumps(secret))


def made(secret: object) -> list[str]:
    found = senders(read(secret), lambda: Ledger(MemoryTable()))
    return [type(sender).__name__ for sender in found]


def test_sets_up_every_channel_it_names() -> None:
    assert made(WHOLE) == ["SlackBot", "Teams", "PagerDuty", "Webhook"]
    assert read(WHOLE).channels() == (
        Channel.SLACK,
        Channel.TEAMS,
        Channel.PAGERDUTY,
        Channel.WEBHOOK,
    )


def test_sets_up_nothing_that_it_does_not_name() -> None:
    assert made({}) == []
    assert made({"teams": WHOLE["teams"]}) == ["Teams"]


def test_slack_may_be_an_incoming_webhook() -> None:
    assert made({"slack": {"webhook_url": "https://hooks.slack.com/services/T/B/X"}}) == [
        "SlackWebhook"
    ]


@pytest.mark.parametrize(
    ("secret", "named"),
    [
        ([], "JSON object"),
        ({"slak": {}}, "slack, teams, pagerduty, webhook"),
        ({"slack": "xoxb-secret-token"}, "slack"),
        ({"slack": {"bot_token": "xoxb-secret-token"}}, "slack.channel"),
        ({"slack": {"channel": "C1"}}, "slack.webhook_url"),
        ({"slack": {**WHOLE["slack"], "api_url": "ftp://secret-path"}}, "slack.api_url"),
        ({"teams": {"webhook_url": "http://example.com/secret-path"}}, "teams.webhook_url"),
        ({"teams": {"webhook_url": "https://bob:secret-key@example.com"}}, "teams.webhook_url"),
        ({"teams": {"webhook_url": 7}}, "teams.webhook_url"),
        ({"teams": {"webhook_url": "https://[TENANT].example.com/secret-path"}}, "teams.webhook"),
        ({"teams": {"webhook_url": "https://example.com:PORT/secret-path"}}, "teams.webhook_url"),
        ({"teams": {"webhook_url": "https://example.com:99999/secret-path"}}, "teams.webhook_url"),
        ({"slack": {"webhook_url": "https://example.com/secret-path/…"}}, "slack.webhook_url"),
        ({"slack": {"bot_token": "xoxb-secret-token…", "channel": "C1"}}, "slack.bot_token"),
        ({"pagerduty": {"routing_key": "secret-key secret-key"}}, "pagerduty.routing_key"),
        ({"pagerduty": {"key": "secret-key"}}, "pagerduty.routing_key"),
        ({"pagerduty": {"routing_key": "secret-key\n"}}, "pagerduty.routing_key"),
        ({"webhook": {"url": "https://example.com/secret-path"}}, "webhook.signing_key"),
        ({"webhook": {**WHOLE["webhook"], "signing_key": "secret-key"}}, "webhook.signing_key"),
    ],
)
def test_names_the_key_that_is_wrong_and_shows_no_value(secret: object, named: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(secret)
    text = str(wrong.value)
    assert named in text
    for value in ("xoxb-secret-token", "secret-path", "secret-key"):
        assert value not in text


def test_a_secret_that_is_no_json_is_not_quoted() -> None:
    with pytest.raises(ConfigError) as wrong:
        ChatSettings.from_secret("xoxb-secret-token")
    assert "xoxb" not in str(wrong.value)


def test_plain_http_is_for_this_machine_alone() -> None:
    assert made({"teams": {"webhook_url": "http://127.0.0.1:9/x"}}) == ["Teams"]


@pytest.mark.parametrize("address", ["https://example.com/in/", "https://example.com/in?sig=ab/"])
def test_an_address_that_is_posted_to_stays_as_its_owner_wrote_it(address: str) -> None:
    found = read(
        {
            "slack": {"webhook_url": address},
            "teams": {"webhook_url": address},
            "webhook": {"url": address, "signing_key": "secret-key-of-length"},
        }
    )
    assert (found.slack_webhook_url, found.teams_url, found.webhook_url) == (address,) * 3


def test_an_address_that_a_path_is_added_to_may_end_in_a_slash() -> None:
    found = read(
        {
            "slack": {**WHOLE["slack"], "api_url": "https://slack-gov.com/api/"},
            "pagerduty": {**WHOLE["pagerduty"], "events_url": "https://events.eu.pagerduty.com/"},
        }
    )
    assert found.slack_api == "https://slack-gov.com/api"
    assert found.pagerduty_url == "https://events.eu.pagerduty.com"
