"""E-mail by SNS: what a subscriber would find in the mailbox, as files.

https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

logger = logging.getLogger(__name__)

NO_SUBJECT = "AWS Notification Message"
PER_SECOND = 10
"""E-mails a second that SNS delivers for one account in one Region."""
DEACTIVATED_FILE = "deactivated.jsonl"


class PublishError(Exception):
    """When SNS refuses a message with InvalidParameter; the text is the API's."""


class Kind(StrEnum):
    """Why SNS wrote."""

    CONFIRMATION = "confirmation"
    NOTIFICATION = "notification"


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail as its reader sees it; `token` answers a confirmation."""

    kind: Kind
    time: str
    account: str
    region: str
    topic: str
    to: str
    subject: str
    body: str
    subscription: str
    message_id: str = ""
    token: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An e-mail subscription: its ARN, its topic's and the address."""

    account: str
    region: str
    topic: str
    arn: str
    address: str


def check_subject(subject: str | None) -> None:
    """Refuse what SNS refuses of a subject.

    "Subjects must be UTF-8 text with no line breaks or control characters, and less than 100
    characters long."
    """
    if subject and (
        len(subject) >= 100 or any(unicodedata.category(letter) == "Cc" for letter in subject)
    ):
        raise PublishError("Invalid parameter: Subject")


def check_message(message: str, structure: str | None) -> None:
    """Refuse what SNS refuses of a message: empty, or a JSON message without a default."""
    if not message:
        raise PublishError("Invalid parameter: Empty message")
    if not structure:
        return
    if structure != "json":
        raise PublishError("Invalid parameter: MessageStructure")
    try:
        bodies = json.loads(message)
    except ValueError as error:
        raise PublishError(
            "Invalid parameter: Message Structure - JSON message body failed to parse"
        ) from error
    if not isinstance(bodies, Mapping) or not isinstance(bodies.get("default"), str):
        raise PublishError(
            "Invalid parameter: Message Structure - No default entry in JSON message body"
        )


def message_for(protocol: str, message: str, structure: str | None) -> str:
    """The body for one protocol of a message that may hold several.

    "Non-string values will cause the key to be ignored."
    """
    if structure != "json":
        return message
    bodies = json.loads(message)
    body = bodies.get(protocol)
    return str(body if isinstance(body, str) else bodies["default"])


def footer(links: str, subscriber: Subscriber) -> str:
    """What SNS adds below every notification."""
    query = urlencode({"SubscriptionArn": subscriber.arn, "Endpoint": subscriber.address})
    return (
        "\n\n--\n"
        "If you wish to stop receiving notifications from this topic, please click or visit the "
        f"link below to unsubscribe:\n{links}/unsubscribe?{query}\n\n"
        "Please do not reply directly to this email. If you have any questions or comments "
        "regarding this email, please contact us at https://aws.amazon.com/support\n"
    )


class Pacer:
    """Counts e-mails in the last second, per account and Region."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: dict[tuple[str, str], deque[float]] = {}

    def is_allowed(self, account: str, region: str) -> bool:
        """Whether one more e-mail may go now; counts it when it may."""
        sent = self._sent.setdefault((account, region), deque())
        now = self._clock()
        while sent and sent[0] <= now - 1.0:
            sent.popleft()
        if len(sent) >= PER_SECOND:
            return False
        sent.append(now)
        return True


class Inbox:
    """All e-mail of the sandbox: one JSON file a message, in the order of sending.

    `links` is the address under which confirmation and unsubscribe links answer.
    """

    def __init__(
        self, folder: Path, links: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._links = folder, links
        self._pacer, self._numbers = Pacer(clock), count(1)
        self._lock = threading.Lock()

    def ask(self, subscriber: Subscriber, token: str) -> Mail:
        """Send the e-mail that asks a subscriber to confirm."""
        link = f"{self._links}/confirm?{urlencode({'TopicArn': subscriber.topic, 'Token': token})}"
        mail = Mail(
            kind=Kind.CONFIRMATION,
            time=_now(),
            account=subscriber.account,
            region=subscriber.region,
            topic=subscriber.topic,
            to=subscriber.address,
            subject="AWS Notification - Subscription Confirmation",
            body=(
                f"You have chosen to subscribe to the topic: \n{subscriber.topic}\n\n"
                "To confirm this subscription, click or visit the link below (If this was in "
                f"error no action is necessary): \nConfirm subscription: {link}\n\n"
                "Please do not reply directly to this email. If you wish to remove yourself from "
                "receiving all future SNS subscription confirmation requests please send an "
                "email to sns-opt-out\n"
            ),
            subscription=subscriber.arn,
            token=token,
            link=link,
        )
        with self._lock:
            self._keep(mail)
        return mail

    def send(self, subscriber: Subscriber, subject: str | None, body: str, message_id: str) -> bool:
        """Send a notification; False when the rate is exceeded and SNS deactivates instead.

        "If messages are published to an SNS topic at a higher rate than the Delivery rate for
        email messages quota, then Amazon SNS deactivates the subscription"; it is then in the
        state PendingConfirmation.
        https://repost.aws/knowledge-center/sns-email-subscription-disabled
        """
        with self._lock:
            if not self._pacer.is_allowed(subscriber.account, subscriber.region):
                self._say_deactivated(subscriber, subject)
                return False
            self._keep(
                Mail(
                    kind=Kind.NOTIFICATION,
                    time=_now(),
                    account=subscriber.account,
                    region=subscriber.region,
                    topic=subscriber.topic,
                    to=subscriber.address,
                    subject=subject or NO_SUBJECT,
                    body=body + footer(self._links, subscriber),
                    subscription=subscriber.arn,
                    message_id=message_id,
                )
            )
            return True

    def mails(self) -> list[dict[str, Any]]:
        """Every e-mail so far, oldest first."""
        return [json.loads(path.read_text()) for path in sorted(self._folder.glob("*.json"))]

    def _keep(self, mail: Mail) -> None:
        path = self._folder / f"{next(self._numbers):06d}.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(mail), ensure_ascii=False, indent=1) + "\n")
        part.rename(path)  # a reader never sees half of it

    def _say_deactivated(self, subscriber: Subscriber, subject: str | None) -> None:
        logger.error(
            "SNS DEACTIVATED the e-mail subscription %s of %s: more than %s e-mails in a second in "
            "%s. The message %r and all later ones are lost until it is confirmed again.",
            subscriber.address,
            subscriber.topic,
            PER_SECOND,
            subscriber.region,
            subject,
        )
        entry = {"time": _now(), **asdict(subscriber), "lost_subject": subject}
        with (self._folder / DEACTIVATED_FILE).open("a") as file:
            file.write(json.dumps(entry) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
