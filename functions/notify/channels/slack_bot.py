"""Slack by a bot: one message per release, edited as it proceeds, with its details in the thread.

The message's `ts` is kept in the ledger. Every message carries its delivery id as metadata, so
that one whose outcome is unknown is looked for before it is posted again
(https://docs.slack.dev/messaging/message-metadata); that needs the scopes channels:history or
groups:history beside chat:write, and without them a repeat is possible and counted. Errors come as
HTTP 200 with `ok: false` (https://docs.slack.dev/apis/web-api/).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from notify.channels.http import Post
from notify.channels.slack import render, render_card
from notify.deliver import BusyError, Delivery, DeliveryError, RefusedError, UncertainError
from notify.notice import Notice, Severity
from notify.route import Channel
from trellis.ledger import Ledger, Message, Progress
from trellis.observability import count, logger

API = "https://slack.com/api"
CARD = "card"
"""The fact under which the ledger keeps a release's one message."""

_LOUD = (Severity.CRITICAL, Severity.ERROR, Severity.ACTION)
_UNSURE = ("fatal_error", "internal_error", "service_unavailable", "request_timeout")
_NOT_ALLOWED = ("missing_scope", "no_permission", "not_allowed_token_type", "access_denied")
_NOT_THERE = ("thread_not_found", "message_not_found")
_LOOK_BACK = 100


class NotAllowedError(RefusedError):
    """When the bot lacks a right that it was not given: asking again changes nothing."""


class NotThereError(RefusedError):
    """When what is asked about was deleted: no earlier try stands in its thread."""


class SlackBot:
    """A bot in one channel."""

    channel = Channel.SLACK
    knows_repeats = True

    def __init__(
        self, token: str, channel_id: str, post: Post, ledger: Callable[[], Ledger], api: str = API
    ) -> None:
        self._token, self._channel_id, self._post, self._api = token, channel_id, post, api
        self._ledger = ledger

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Post a notice and return its `ts`: in its release's thread, if it has a release.

        What needs a person is shown in the channel too.
        """
        if delivery.card is None:
            return self._said_once(render(notice), delivery)
        root = self._card(delivery)
        if delivery.is_begin:
            return root
        reply = {**render(notice), "thread_ts": root}
        if notice.severity in _LOUD:
            reply["reply_broadcast"] = True
        return self._said_once(reply, delivery)

    def show(self, about: str, card: Notice) -> bool:
        """Bring a release's message up to date; False where it has none."""
        message = self._ledger().message(about, CARD, self.channel.value)
        if message is None or message.message_id is None:
            return False
        self._call("chat.update", {**render_card(card), "ts": message.message_id})
        return True

    def _card(self, delivery: Delivery) -> str:
        """The `ts` of the release's one message, which is posted if it is not there yet."""
        if delivery.card is None:
            raise ValueError("a card is wanted for what has none")
        ledger = self._ledger()
        message = ledger.begin_message(
            Message(
                about=delivery.about,
                fact=CARD,
                channel=self.channel.value,
                progress=Progress.SENDING,
                owner=delivery.owner,
                until=delivery.until,
            ),
            delivery.now,
        )
        if message.progress is Progress.SENT and message.message_id:
            return message.message_id
        if message.owner != delivery.owner:
            raise BusyError("another worker is posting the release's message", 2.0)
        card = replace(delivery, id=f"{delivery.about}#{CARD}", may_repeat=message.may_repeat)
        try:
            ts = self._said_once(render_card(delivery.card), card)
        except RefusedError:
            ledger.end_message(replace(message, progress=Progress.REFUSED), delivery.now)
            raise
        except DeliveryError:
            ledger.end_message(replace(message, progress=Progress.UNKNOWN), delivery.now)
            raise
        ledger.end_message(replace(message, progress=Progress.SENT, message_id=ts), delivery.now)
        return ts

    def _said_once(self, content: dict[str, Any], delivery: Delivery) -> str:
        if delivery.may_repeat:
            found = self._find(delivery, content.get("thread_ts"))
            if found is not None:
                return found
        answer = self._call(
            "chat.postMessage",
            {
                **content,
                "unfurl_links": False,
                "unfurl_media": False,
                "metadata": {
                    "event_type": "trellis_message",
                    "event_payload": {"delivery_id": delivery.id},
                },
            },
        )
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise UncertainError("Slack took the message without saying where it is")
        return ts

    def _find(self, delivery: Delivery, thread: object) -> str | None:
        """The `ts` of a message that an earlier try may have posted.

        As long as Slack does not say, nothing is posted.
        """
        asked: dict[str, Any] = {"limit": _LOOK_BACK, "include_all_metadata": True}
        method = "conversations.history"
        if isinstance(thread, str):
            method, asked["ts"] = "conversations.replies", thread
        try:
            answer = self._call(method, asked, is_form=True)
        except NotThereError:
            return None
        except NotAllowedError as err:
            logger.warning("may not look for an earlier message", reason=str(err))
            count("MessagesThatMayRepeat")
            return None
        for message in answer.get("messages", []):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("delivery_id") == delivery.id:
                return str(message["ts"])
        return None

    def _call(
        self, method: str, arguments: dict[str, Any], *, is_form: bool = False
    ) -> dict[str, Any]:
        """One Web API call; reading methods take no JSON, only a form."""
        given = {"channel": self._channel_id, **arguments}
        if is_form:
            body = urlencode(
                {name: "true" if value is True else value for name, value in given.items()}
            ).encode()
            kind = "application/x-www-form-urlencoded"
        else:
            body = json.dumps(given, ensure_ascii=False).encode()
            kind = "application/json; charset=utf-8"
        answer = self._post(
            f"{self._api}/{method}",
            body,
            {"Content-Type": kind, "Authorization": f"Bearer {self._token}"},
        )
        try:
            said = json.loads(answer.body)
        except ValueError as err:
            raise UncertainError(f"Slack answered {method} with what is no JSON") from err
        if isinstance(said, dict) and said.get("ok") is True:
            return said
        error = str(said.get("error")) if isinstance(said, dict) else "no object"
        text = f"Slack says {error} to {method}"
        if error in _UNSURE:
            raise UncertainError(text)
        if error in _NOT_THERE:
            raise NotThereError(text)
        raise NotAllowedError(text) if error in _NOT_ALLOWED else RefusedError(text)
