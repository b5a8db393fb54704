"""E-mail, by way of an SNS topic.

SNS takes a subject of less than 100 characters without line breaks or control characters and a
message of at most 262,144 bytes
(https://docs.aws.amazon.com/sns/latest/api/API_Publish.html), and sends the message as plain text.
Above ten e-mails a second SNS deactivates the subscription without a word, so publishing is paced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from notify.deliver import Delivery, RefusedError, UncertainError
from notify.links import web_links
from notify.notice import Notice, Severity
from notify.route import Channel
from notify.wording import clean, cut, cut_bytes, one_line

MOST_SUBJECT = 99
MOST_BODY_BYTES = 256 * 1024 - 1024

_MARKS = {
    Severity.CRITICAL: "[CRITICAL] ",
    Severity.ACTION: "[ACTION] ",
    Severity.WARNING: "[WARNING] ",
    Severity.SUCCESS: "[OK] ",
}
_FAILURES = ("FAILED", "FAULT", "TIMED_OUT", "CLIENT_ERROR")
_MOST_NAME = 100
_MOST_FACT = 4000
_MOST_LOG_LINE = 400


def render(notice: Notice) -> dict[str, str]:
    """The subject and the body."""
    return {
        "subject": cut(one_line(_mark(notice) + notice.headline), MOST_SUBJECT) or "Trellis",
        "body": cut_bytes(_body(notice), MOST_BODY_BYTES),
    }


class Pace:
    """At most so many publishes a second by this worker, across its invocations."""

    def __init__(
        self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._gap = 1 / per_second
        self._clock, self._sleep = clock, sleep
        self._free_at = 0.0

    def wait(self) -> None:
        """Return when the next publish may go out."""
        now = self._clock()
        if now < self._free_at:
            self._sleep(self._free_at - now)
        self._free_at = max(now, self._free_at) + self._gap


class Email:
    """The topic, as a channel.

    `client` makes no second try of its own: SNS has no token to tell a repeat by, so a try whose
    outcome is unknown has to be seen, marked and counted.
    """

    channel = Channel.EMAIL
    knows_repeats = False

    def __init__(self, client: Callable[[], Any], topic_arn: str, pace: Pace) -> None:
        self._client, self._topic_arn, self._pace = client, topic_arn, pace

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Publish a notice and return the id SNS gave it.

        SNS's API reference lets a subject be any UTF-8 text, older pages ask for ASCII: a subject
        that is refused for its characters goes out without them.
        """
        rendered = render(notice)
        subject = rendered["subject"]
        try:
            return self._publish(subject, rendered["body"])
        except _ParameterError:
            if subject.isascii():
                raise
            plain = subject.encode("ascii", "replace").decode()
            return self._publish(plain, rendered["body"])

    def _publish(self, subject: str, body: str) -> str:
        from botocore import exceptions as aws

        self._pace.wait()
        try:
            answer = self._client().publish(TopicArn=self._topic_arn, Subject=subject, Message=body)
        except aws.ClientError as err:
            status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            text = f"SNS did not take the message: {err}"
            if status >= 500:
                raise UncertainError(text) from err
            is_parameter = "InvalidParameter" in str(err.response.get("Error", {}).get("Code"))
            raise (_ParameterError if is_parameter else RefusedError)(text) from err
        except (
            aws.ConnectTimeoutError,
            aws.EndpointConnectionError,
            aws.NoCredentialsError,
            aws.ParamValidationError,
        ) as err:
            raise RefusedError(f"SNS was not reached: {err}") from err
        except aws.BotoCoreError as err:
            raise UncertainError(f"SNS did not say whether it took the message: {err}") from err
        return str(answer["MessageId"])


class _ParameterError(RefusedError):
    """When SNS finds fault with a part of the message."""


def _mark(notice: Notice) -> str:
    if notice.severity is Severity.ERROR:
        return "[FAILED] " if notice.state.endswith(_FAILURES) else "[ALERT] "
    return _MARKS.get(notice.severity, "")


def _body(notice: Notice) -> str:
    paragraphs = [one_line(notice.headline)]
    if notice.may_repeat:
        paragraphs.append("This message may repeat one you have already had.")
    if notice.facts:
        paragraphs.append("\n".join(_fact(fact.name, fact.value) for fact in notice.facts))
    if notice.next_steps or notice.command:
        paragraphs.append(_next_steps(notice))
    if links := web_links(notice.links):
        paragraphs.append("\n".join(f"{link.label}:\n{link.url}" for link in links))
    if notice.log_tail:
        lines = "\n".join(f"  {cut(clean(line), _MOST_LOG_LINE)}" for line in notice.log_tail)
        of = f" of {one_line(notice.log_source)}" if notice.log_source else ""
        paragraphs.append(f"The end of the log{of}\n{lines}")
    return "\n\n".join(paragraphs) + "\n"


def _fact(name: str, value: str) -> str:
    """A line of the list; a value of several lines is set below its name."""
    title = cut(one_line(name), _MOST_NAME)
    shown = cut(clean(value).strip(), _MOST_FACT)
    if "\n" in shown:
        return f"{title}:\n" + "\n".join(f"  {line}" for line in shown.split("\n"))
    return f"{title}: {shown}"


def _next_steps(notice: Notice) -> str:
    lines = ["What to do next", *(f"- {one_line(step)}" for step in notice.next_steps)]
    if notice.command:
        lines += ["", f"    {one_line(notice.command)}"]
    return "\n".join(lines)
