"""What notify is told by its environment, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trellis import env


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of this function; the template sets all of them."""

    topic_arn: str
    ledger_table: str
    region: str | None = None
    stack: str | None = None
    """The stack that metrics are told apart by; two may be in one account and Region."""
    queue_url: str | None = None
    """Where an event goes back to when it has to wait; without one it is told at once."""
    dead_letter_url: str | None = None
    """Where a message ends, with the reason, that could not be told."""
    most_receives: int = 5
    """How often the queue hands a message out: its redrive policy's maxReceiveCount."""
    chat_secret_arn: str | None = None
    """The secret that sets up the channels beside e-mail. See `notify.chat`."""
    lone_action_wait_seconds: int = 300
    """How long a failed action waits for its stage's own event."""
    silent_api_wait_seconds: int = 30
    """How long a failure waits for the events that name its actions, when AWS does not answer."""
    approval_timeout_minutes: int | None = None
    """How long the pipeline waits for an answer: its events do not say."""
    routes: str = ""
    """The routing table; empty for the default one. See `notify.route`."""
    is_dry_run: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Raises ConfigError for the first setting that is missing or wrong."""
        is_dry_run = env.flag(environ, "DRY_RUN")
        routes = env.optional(environ, "NOTIFICATION_ROUTES") or ""
        if routes:
            from notify.route import parse

            parse(routes)
        return cls(
            topic_arn=""
            if is_dry_run
            else env.required(
                environ, "NOTIFICATION_TOPIC_ARN", "set it to the ARN of the SNS topic"
            ),
            ledger_table=""
            if is_dry_run
            else env.required(environ, "LEDGER_TABLE_NAME", "set it to the ledger table's name"),
            region=env.optional(environ, "AWS_REGION"),
            stack=env.optional(environ, "STACK_NAME"),
            queue_url=env.optional(environ, "NOTIFY_QUEUE_URL"),
            dead_letter_url=env.optional(environ, "NOTIFY_DEAD_LETTER_QUEUE_URL"),
            most_receives=int(
                env.number(environ, "NOTIFY_MAX_RECEIVES", default=5, least=1, most=1000)
            ),
            chat_secret_arn=env.optional(environ, "CHAT_SECRET_ARN"),
            lone_action_wait_seconds=int(
                env.number(environ, "LONE_ACTION_WAIT_SECONDS", default=300, least=0, most=900)
            ),
            silent_api_wait_seconds=int(
                env.number(environ, "SILENT_API_WAIT_SECONDS", default=30, least=0, most=900)
            ),
            approval_timeout_minutes=(
                int(
                    env.number(
                        environ, "APPROVAL_TIMEOUT_MINUTES", default=10080, least=5, most=86400
                    )
                )
                if "APPROVAL_TIMEOUT_MINUTES" in environ
                else None
            ),
            routes=routes,
            is_dry_run=is_dry_run,
        )
