"""The tagging audit from a laptop: against an account, the sandbox, or any endpoint.

`python -m operations.audit` runs the function's own code with whatever credentials boto3 finds,
and writes report.json, report.csv and report.html into a folder. The last line it prints is the
audit in numbers, as JSON. Nobody is told, nothing is changed.

The functions and the layer must be on PYTHONPATH, as `make audit` puts them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

# The function's own log would stand in the way of what a person reads here; it is set before the
# rooms that log are loaded.
os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "tagging_audit")

from botocore.exceptions import BotoCoreError

from operations.stack import mended, unanswered
from tagging_audit.belonging import OwnStack
from tagging_audit.command import Audit, Trigger
from tagging_audit.config import Config
from tagging_audit.inventory.aws import Aws, CallError
from tagging_audit.inventory.listing import SERVICES
from tagging_audit.kinds import GLOBAL
from tagging_audit.office import Office
from tagging_audit.pace import Paces
from tagging_audit.policy_file import PolicyError, expired, parse
from tagging_audit.report.as_html import headline, subline
from tagging_audit.report.build import Report
from tagging_audit.scope import RemedyMode, ScopeKind
from tagging_audit.workflow import begin, run
from trellis.errors import TrellisError

POLICY = Path(__file__).parent.parent / "functions" / "tagging_audit" / "policy.toml"


class AuditError(Exception):
    """When an audit cannot begin; the text says what is missing and how to give it."""


class FolderStore:
    """A folder: the three reports by their plain names, and the memory of the last audit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, key: str, pieces: Iterable[str], content_type: str) -> None:
        with self._path(key).open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)

    def read(self, key: str) -> str | None:
        path = self._path(key)
        return path.read_text(encoding="utf-8") if path.exists() else None

    def read_marked(self, key: str) -> tuple[str, str] | None:
        text = self.read(key)
        return None if text is None else (text, text)

    def replace(self, key: str, text: str, mark: str | None) -> bool:
        if self.read(key) != mark:
            return False
        self.write(key, [text], "application/json")
        return True

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        *folders, name = key.split("/")
        # What is remembered of a stack and of an account must not cover each other.
        return self._folder / (f"{folders[-1]}-{name}" if name.startswith("latest-") else name)


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line asks for."""

    scope: ScopeKind
    regions: tuple[str, ...]
    out: Path
    stack: str | None
    policy: Path
    with_globals: bool
    remedy: RemedyMode


def stack_to_audit(given: Given, endpoint: str | None) -> str | None:
    """The name of the stack that an audit is about; an account-wide one need not have any."""
    if given.stack or given.scope is ScopeKind.ACCOUNT:
        return given.stack
    # Only here: it brings the reader of templates with it.
    from operations.samconfig import PlaceError, place

    is_here = endpoint is not None and urlparse(endpoint).hostname in ("127.0.0.1", "localhost")
    section = f"sandbox-{given.regions[0]}" if is_here else given.regions[0]
    try:
        return place(section).stack
    except PlaceError as err:
        raise AuditError(f"which stack? {err}. Name it: STACK=<name>") from err


def parameters_of(aws: Aws, region: str, stack: str) -> tuple[str, dict[str, str]]:
    """A deployed stack's id, and its parameters."""
    try:
        answer = aws.call("cloudformation", region, "describe_stacks", StackName=stack)
    except CallError as err:
        why = mended(err.__cause__) or str(err)
        raise AuditError(f"the stack {stack} in {region} cannot be read: {why}") from err
    found = answer["Stacks"][0]
    return found["StackId"], {
        one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", ())
    }


def office_for(given: Given, aws: Aws, stack: str | None) -> Office:
    """All that auditing needs, without anybody to tell."""
    region = given.regions[0]
    parameters: Mapping[str, str] = {}
    if stack is not None:
        stack_id, parameters = parameters_of(aws, region, stack)
        account = stack_id.split(":")[4]
        own = OwnStack(
            stack_id=stack_id,
            project=parameters.get("ProjectName", stack),
            suffix=parameters.get("EnvironmentSuffix", ""),
        )
    else:
        account = account_of(aws, region)
        own = OwnStack(stack_id="", project="", suffix="")
    config = Config(
        region=region,
        account=account,
        stack=own,
        scope=given.scope,
        bucket="",
        ledger_table="",
        with_globals=given.with_globals,
        remedy=given.remedy,
    )
    policy = parse(policy_text(given.policy), parameters, SERVICES, given.policy.name)
    return Office(
        config=config,
        policy=policy,
        aws=aws,
        store=FolderStore(given.out),
        ledger=None,
        bus=None,
        queue=None,
        now=lambda: datetime.now(UTC),
        has_time=lambda: True,
        new_id=lambda: uuid.uuid4().hex[:6],
        owner="by hand",
    )


def policy_text(path: Path) -> str:
    """What a policy file says. Raises AuditError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as err:
        raise AuditError(f"POLICY={path} cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise AuditError(f"POLICY={path} cannot be read: {err}") from err


def account_of(aws: Aws, region: str) -> str:
    """The account that the credentials belong to."""
    try:
        return str(aws.call("sts", region, "get_caller_identity")["Account"])
    except CallError as err:
        why = mended(err.__cause__) or f"{err}. Set AWS_PROFILE, or name another ENDPOINT=<url>"
        raise AuditError(f"no AWS account answers: {why}") from err


def audited(given: Given, endpoint: str | None) -> tuple[Report, dict[str, Any]]:
    """One audit. Raises AuditError, PolicyError or another TrellisError."""
    aws = Aws(Paces(time.monotonic, time.sleep))
    office = office_for(given, aws, stack_to_audit(given, endpoint))
    command = Audit(
        trigger=Trigger.MANUAL, scope=given.scope, regions=given.regions, remedy=given.remedy
    )
    # Finding out what there is to audit counts too.
    return run(replace(begin(command, office), requests=aws.requests), office)


def checked(path: Path) -> list[str]:
    """Everything that is wrong with a policy file, or holds no longer."""
    try:
        policy = parse(policy_text(path), {}, SERVICES, path.name)
    except PolicyError as err:
        return list(err.problems)
    except AuditError as err:
        return [str(err)]
    return list(expired(policy, datetime.now(UTC)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--endpoint", help="where AWS is; the real one where it is left out")
    parser.add_argument("--scope", choices=("stack", "account"), default="stack")
    parser.add_argument("--regions", default="", help="with commas between them")
    parser.add_argument("--out", type=Path, default=Path(".cache/audit"), help="where reports go")
    parser.add_argument("--stack", help="its name; the one of samconfig.toml where left out")
    parser.add_argument("--policy", type=Path, default=POLICY)
    parser.add_argument("--globals", action="store_true", help="IAM's roles and users too")
    parser.add_argument("--remedy", choices=[one.value for one in RemedyMode], default="off")
    parser.add_argument("--check-policy", action="store_true", help="check the policy file alone")
    found = parser.parse_args(arguments)
    if found.check_policy:
        problems = checked(found.policy)
        sys.stderr.writelines(f"{one}\n" for one in problems)
        sys.stdout.write("" if problems else f"{found.policy.name}: in order\n")
        return 1 if problems else 0
    try:
        report, summary = audited(_given(found), found.endpoint)
    except (AuditError, TrellisError) as err:
        sys.stderr.write(f"{err}\n")
        return 2
    except BotoCoreError as err:
        sys.stderr.write(f"{unanswered(err)}\n")
        return 2
    sys.stdout.write(f"{headline(report)}. {subline(report)}\n")
    for trouble in report.troubles:
        where = "" if trouble.region == GLOBAL else f" in {trouble.region}"
        sys.stdout.write(f"not seen: {trouble.text}{where}\n")
    sys.stdout.write(f"reports: {found.out / 'report.html'}, report.csv, report.json\n")
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


def _given(found: argparse.Namespace) -> Given:
    """What is asked for, where boto3 goes, and a folder to write to. Raises AuditError."""
    if found.endpoint:
        _use(found.endpoint)
    elif there := os.environ.get("AWS_ENDPOINT_URL"):
        _host_of(there, "AWS_ENDPOINT_URL")
    try:
        found.out.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise AuditError(f"OUT={found.out} cannot be written to: {err.strerror}") from err
    return Given(
        scope=ScopeKind(found.scope),
        regions=_regions(found.regions),
        out=found.out,
        stack=found.stack,
        policy=found.policy,
        with_globals=found.globals,
        remedy=RemedyMode(found.remedy),
    )


def _use(endpoint: str) -> None:
    """Point boto3 at another endpoint; on this machine any credentials will do.

    Raises AuditError for what is no address.
    """
    host = _host_of(endpoint, "ENDPOINT")
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    if host in ("127.0.0.1", "localhost"):
        os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
        os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")


def _host_of(endpoint: str, name: str) -> str:
    """The host of an endpoint. Raises AuditError for what is no address."""
    parts = urlparse(endpoint)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or endpoint.split() != [endpoint]
    ):
        raise AuditError(f"{name} is {endpoint!r}: write an address, like http://127.0.0.1:4566")
    return parts.hostname


def _regions(text: str) -> tuple[str, ...]:
    named = tuple(one.strip() for one in text.split(",") if one.strip())
    if named:
        return named
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        from operations.samconfig import PlaceError, place

        try:
            region = place("default").region
        except PlaceError as err:
            raise AuditError(f"which Region? {err}. Name it: REGIONS=<name>") from err
    return (region,)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written. Python would take ten thousand resources apart, one by one, for nobody.
    os._exit(status)
