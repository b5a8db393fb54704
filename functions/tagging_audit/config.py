"""What tagging_audit is told by its environment, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from tagging_audit.belonging import OwnStack
from tagging_audit.scope import RemedyMode, ScopeKind
from trellis import env
from trellis.arn import Arn
from trellis.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of this function; the template sets all of them."""

    region: str
    account: str
    stack: OwnStack
    scope: ScopeKind
    bucket: str
    ledger_table: str
    queue_url: str | None = None
    """Where an audit that runs out of time goes on, and where a second look is waited for."""
    with_globals: bool = False
    remedy: RemedyMode = RemedyMode.OFF
    grace: timedelta = timedelta(minutes=10)
    """How long a resource may be without its tags before anybody is told; SQS waits no longer
    than 15 minutes."""
    parameters: tuple[tuple[str, str], ...] = ()
    """The template's parameters that the policy may speak of."""
    is_dry_run: bool = False
    """No AWS call at all: what would be done is answered."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Raises ConfigError for the first setting that is missing or wrong."""
        is_dry_run = env.flag(environ, "DRY_RUN")
        stack_id = env.required(environ, "STACK_ID", "set it to the ARN of this stack")
        parsed = Arn.parse(stack_id)
        if parsed is None:
            raise ConfigError("STACK_ID", stack_id, "set it to the ARN of this stack")
        project = env.required(environ, "PROJECT_NAME", "set it to the project's name")
        suffix = env.required(environ, "ENVIRONMENT_SUFFIX", "set it to the suffix of every name")
        parameters = {
            "ProjectName": project,
            "EnvironmentSuffix": suffix,
            "Owner": env.optional(environ, "OWNER") or "",
            "CostCenter": env.optional(environ, "COST_CENTER") or "",
            "RequiredTags": env.optional(environ, "REQUIRED_TAGS") or "",
        }
        return cls(
            region=env.optional(environ, "AWS_REGION") or parsed.region,
            account=parsed.account,
            stack=OwnStack(stack_id=stack_id, project=project, suffix=suffix),
            scope=ScopeKind(
                _one_of(environ, "AUDIT_SCOPE", (ScopeKind.STACK, ScopeKind.ACCOUNT)).value
            ),
            bucket=""
            if is_dry_run
            else env.required(environ, "REPORTS_BUCKET_NAME", "set it to the reports bucket"),
            ledger_table=""
            if is_dry_run
            else env.required(environ, "LEDGER_TABLE_NAME", "set it to the ledger table's name"),
            queue_url=env.optional(environ, "AUDIT_QUEUE_URL"),
            with_globals=env.flag(environ, "AUDIT_GLOBALS"),
            remedy=_one_of(environ, "AUDIT_REMEDY", tuple(RemedyMode)),
            grace=timedelta(
                minutes=env.number(environ, "AUDIT_GRACE_MINUTES", default=10, least=0, most=15)
            ),
            parameters=tuple(parameters.items()),
            is_dry_run=is_dry_run,
        )


def _one_of[Choice: (ScopeKind, RemedyMode)](
    environ: Mapping[str, str], name: str, choices: tuple[Choice, ...]
) -> Choice:
    """One of a few words; the first of them where nothing is set."""
    value = env.optional(environ, name)
    if value is None:
        return choices[0]
    for choice in choices:
        if choice.value == value:
            return choice
    raise ConfigError(name, value, f"set it to {' or '.join(one.value for one in choices)}")
