"""Slack by an incoming webhook: one message per state that matters, none of them edited.

It answers `ok`, and a 429 with Retry-After above about a message a second
(https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). Nothing tells a
repeat, so a message whose outcome is unknown is sent again and says so.
"""

from __future__ import annotations

import json

from notify.channels.http import Post
from notify.channels.slack import render
from notify.deliver import Delivery, UncertainError
from notify.notice import Notice
from notify.route import Channel

_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


class SlackWebhook:
    """An incoming webhook, as a channel."""

    channel = Channel.SLACK
    knows_repeats = False

    def __init__(self, url: str, post: Post) -> None:
        self._url, self._post = url, post

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Post a notice; Slack gives no id here, so the delivery's own is returned."""
        body = json.dumps(render(notice), ensure_ascii=False).encode()
        answer = self._post(self._url, body, _HEADERS)
        if answer.body.strip() != b"ok":
            raise UncertainError(f"Slack answered {answer.status} with what is not its ok")
        return delivery.id
