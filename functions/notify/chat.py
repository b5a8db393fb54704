"""The channels beside e-mail, as the chat secret sets them up.

One secret in Secrets Manager, a JSON object; a channel whose key is missing is not set up:

    {
      "slack": {"bot_token": "xoxb-…", "channel": "C0123456789"},
      "slack": {"webhook_url": "https://hooks.slack.com/services/…"},     (instead of a bot)
      "teams": {"webhook_url": "https://…"},
      "pagerduty": {"routing_key": "32 characters"},
      "webhook": {"url": "https://…", "signing_key": "at least 16 characters"}
    }

`slack.api_url` and `pagerduty.events_url` point elsewhere than to the public service
(`https://slack-gov.com/api`, `https://events.eu.pagerduty.com`). No error here shows a value.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from notify.deliver import Sender
from notify.route import Channel
from trellis.errors import ConfigError
from trellis.ledger import Ledger

SETTING = "CHAT_SECRET_ARN"
_HIDDEN = "(hidden)"
_SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """What the secret says, checked; None for what is not set up."""

    slack_token: str | None = None
    slack_channel: str | None = None
    slack_api: str | None = None
    slack_webhook_url: str | None = None
    teams_url: str | None = None
    pagerduty_key: str | None = None
    pagerduty_url: str | None = None
    webhook_url: str | None = None
    webhook_key: str | None = None

    @classmethod
    def from_secret(cls, text: str) -> ChatSettings:
        """Raises ConfigError for the first key that is missing or wrong."""
        try:
            secret = json.loads(text)
        except ValueError:
            secret = None
        if not isinstance(secret, dict):
            raise ConfigError(SETTING, _HIDDEN, "make the secret a JSON object of channels")
        for name in secret:
            if name not in ("slack", "teams", "pagerduty", "webhook"):
                known = "slack, teams, pagerduty, webhook"
                raise ConfigError(f"{SETTING}: {name}", _HIDDEN, f"name one of {known}")
        slack, pagerduty = _part(secret, "slack"), _part(secret, "pagerduty")
        teams, webhook = _part(secret, "teams"), _part(secret, "webhook")
        is_bot = "bot_token" in slack
        return cls(
            slack_token=_word(slack, "slack", "bot_token") if is_bot else None,
            slack_channel=_word(slack, "slack", "channel") if is_bot else None,
            slack_api=_base(slack, "slack", "api_url") if "api_url" in slack else None,
            slack_webhook_url=(
                _url(slack, "slack", "webhook_url") if slack and not is_bot else None
            ),
            teams_url=_url(teams, "teams", "webhook_url") if teams else None,
            pagerduty_key=_word(pagerduty, "pagerduty", "routing_key") if pagerduty else None,
            pagerduty_url=(
                _base(pagerduty, "pagerduty", "events_url") if "events_url" in pagerduty else None
            ),
            webhook_url=_url(webhook, "webhook", "url") if webhook else None,
            webhook_key=_signing_key(webhook) if webhook else None,
        )

    def channels(self) -> tuple[Channel, ...]:
        """The channels that are set up."""
        is_set = {
            Channel.SLACK: self.slack_token or self.slack_webhook_url,
            Channel.TEAMS: self.teams_url,
            Channel.PAGERDUTY: self.pagerduty_key,
            Channel.WEBHOOK: self.webhook_url,
        }
        return tuple(channel for channel, value in is_set.items() if value)


def senders(settings: ChatSettings, ledger: Callable[[], Ledger]) -> list[Sender]:
    """The channels that are set up, each loaded only then."""
    from notify.channels.http import post

    found: list[Sender] = []
    if settings.slack_token and settings.slack_channel:
        from notify.channels.slack_bot import API, SlackBot

        found.append(
            SlackBot(
                settings.slack_token,
                settings.slack_channel,
                post,
                ledger,
                settings.slack_api or API,
            )
        )
    elif settings.slack_webhook_url:
        from notify.channels.slack_webhook import SlackWebhook

        found.append(SlackWebhook(settings.slack_webhook_url, post))
    if settings.teams_url:
        from notify.channels.teams import Teams

        found.append(Teams(settings.teams_url, post))
    if settings.pagerduty_key:
        from notify.channels.pagerduty import EVENTS, PagerDuty

        found.append(PagerDuty(settings.pagerduty_key, post, settings.pagerduty_url or EVENTS))
    if settings.webhook_url and settings.webhook_key:
        from notify.channels.webhook import Webhook

        found.append(Webhook(settings.webhook_url, settings.webhook_key, post, time.time))
    return found


def _part(secret: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = secret.get(name, {})
    if not isinstance(part, Mapping):
        raise ConfigError(f"{SETTING}: {name}", _HIDDEN, "make it a JSON object")
    return part


def _text(part: Mapping[str, Any], channel: str, key: str) -> str:
    value = part.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigError(
            f"{SETTING}: {channel}.{key}",
            None if key not in part else _HIDDEN,
            f"give {channel} a {key}, or take {channel} out of the secret",
        )
    return value.strip()


def _word(part: Mapping[str, Any], channel: str, key: str) -> str:
    """A text that travels where no other characters may: in a URL, a header, an id."""
    word = _text(part, channel, key)
    if not word.isascii() or " " in word:
        raise ConfigError(
            f"{SETTING}: {channel}.{key}",
            _HIDDEN,
            "copy it whole: it has ASCII characters only, and no space",
        )
    return word


def _url(part: Mapping[str, Any], channel: str, key: str) -> str:
    from notify.channels.http import check_url

    return check_url(f"{SETTING}: {channel}.{key}", _word(part, channel, key))


def _base(part: Mapping[str, Any], channel: str, key: str) -> str:
    """An address that a path is added to; any other is posted to just as it is written."""
    return _url(part, channel, key).rstrip("/")


def _signing_key(part: Mapping[str, Any]) -> str:
    key = _text(part, "webhook", "signing_key")
    if len(key) < _SHORTEST_KEY:
        raise ConfigError(
            f"{SETTING}: webhook.signing_key", _HIDDEN, f"use at least {_SHORTEST_KEY} characters"
        )
    return key
