"""What is measured, and what each of them must have done to count."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.artifacts import PROJECT, Artifacts
from benchmarks.endpoint import Endpoint
from benchmarks.process import PYTHON, Command
from benchmarks.rounds import Check, Subject

PROBES = PROJECT / "benchmarks/probes"
EVENTS = PROJECT / "events"

EMPTY = "empty handler"
USUAL = "the usual notifier, to its first message"
NOTIFY_READY = "notify, ready to tell"
NOTIFY_PLAIN = "the same, as plain `sam build` ships it with boto3"
NOTIFY_PLAIN_OWN = "the same, as plain `sam build` ships it without boto3"
NOTIFY_OWN_SDK = "the same, a trimmed boto3 in the layer"
NOTIFY_BARE_SDK = "the same, if the runtime's boto3 had no byte code"
NOTIFY_IGNORED = "notify, an event that is ignored"
NOTIFY_FIRST = "notify, to its first message"
NOTIFY_FAILED = "notify, to its first message, a failed release looked into"
NOTIFY_BURST = "notify, a first batch of ten events"
ROLLBACK_READY = "rollback, ready to look"
AUDIT = "tagging_audit, 1,000 resources judged"
AUDIT_10 = "tagging_audit, 10,000 resources judged"
C7N = "Cloud Custodian, one tag policy loaded"

_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HOME": "/nowhere",
    "LANG": "C.UTF-8",
    "LEDGER_TABLE_NAME": "ledger",
    "NOTIFICATION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:releases",
    "PATH": "/usr/bin:/bin",
    "POWERTOOLS_METRICS_NAMESPACE": "Trellis",
    "POWERTOOLS_SERVICE_NAME": "benchmark",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "SETTINGS_PARAMETER": "settings",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the subjects are made of."""

    built: Artifacts
    """As shipped; its layer trusts the endpoint."""
    plain: Artifacts
    """Without byte code, boto3 beside it."""
    plain_own: Artifacts
    """Without byte code, boto3 from the runtime."""
    bare_sdk: Artifacts
    """As shipped, boto3 beside it without byte code."""
    probes: Path
    """The probes with byte code, as a function has it."""
    endpoint: Endpoint | None = None
    own_sdk: Artifacts | None = None
    """As shipped, with a trimmed boto3 in the layer."""
    c7n: Path | None = None
    """A Python that has Cloud Custodian."""
    peers: Path | None = None


def alone(built: Artifacts, probes: Path) -> Setting:
    """What ships and nothing to compare it with; the probes are compiled into a folder."""
    compiled = compiled_probes(probes)
    return Setting(built=built, plain=built, plain_own=built, bare_sdk=built, probes=compiled)


def compiled_probes(folder: Path) -> Path:
    """The probes with byte code, as a function has it: handlers are measured, not compiling."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PROBES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    argv = [str(PYTHON), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*argv, str(folder)], check=True)
    return folder


def script(path: Sequence[Path], code: str, *argv: str, **variables: str) -> Command:
    """A fresh Python of the runtime's that can import from some folders and nowhere else."""
    where = os.pathsep.join(str(one) for one in path)
    return Command(
        [str(PYTHON), "-c", code, *argv], {**_VARIABLES, "PYTHONPATH": where, **variables}
    )


def invoke(path: Sequence[Path], module: str, event: str, setting: Setting) -> Command:
    """A handler called once with one of the ready events."""
    variables = setting.endpoint.environment if setting.endpoint else {}
    file = str(EVENTS / f"{event}.json")
    return script([*path, setting.probes], "import invoke", module, file, **variables)


def ready(artifacts: Artifacts, function: str, setting: Setting) -> Command:
    """A function brought to where it is about to work."""
    path = [*artifacts.path(function), setting.probes]
    return script(path, f"import {function}_ready")


def judged(count: int, setting: Setting) -> Command:
    """So many resources judged by the shipped policy."""
    path = [*setting.built.path("tagging_audit"), setting.probes]
    return script(path, "import audit_judge", str(count))


def offline(setting: Setting) -> list[Subject]:
    """Those that call nobody: they can be counted in instructions."""
    built = setting.built
    return [
        Subject(EMPTY, invoke([], "empty_handler", "tag-change", setting), _answers({})),
        Subject(
            NOTIFY_IGNORED,
            invoke(built.path("notify"), "handler", "tag-change", setting),
            _calls(setting, {}),
        ),
        Subject(NOTIFY_READY, ready(built, "notify", setting)),
        Subject(ROLLBACK_READY, ready(built, "rollback", setting)),
        Subject(AUDIT, judged(1_000, setting), _judged(1_000)),
    ]


def subjects(setting: Setting) -> list[Subject]:
    """All of them, peers included."""
    notify = setting.built.path("notify")

    def first(event: str) -> Command:
        return invoke(notify, "handler", event, setting)

    written = {"PutItem": 2, "Publish": 1}
    found = [
        *offline(setting),
        Subject(NOTIFY_PLAIN, ready(setting.plain, "notify", setting)),
        Subject(NOTIFY_PLAIN_OWN, ready(setting.plain_own, "notify", setting)),
        Subject(NOTIFY_BARE_SDK, ready(setting.bare_sdk, "notify", setting)),
        Subject(AUDIT_10, judged(10_000, setting), _judged(10_000)),
    ]
    if setting.endpoint is not None:
        found += [
            Subject(
                USUAL,
                invoke([], "usual_notifier", "pipeline-failed", setting),
                _calls(setting, {"hook": 1}),
            ),
            Subject(NOTIFY_FIRST, first("alarm-on"), _calls(setting, written)),
            Subject(NOTIFY_FAILED, first("stage-failed"), _calls(setting, written)),
            Subject(NOTIFY_BURST, first("batch-from-the-queue"), _calls(setting, {"Publish": 1})),
        ]
    if setting.own_sdk is not None:
        found.append(Subject(NOTIFY_OWN_SDK, ready(setting.own_sdk, "notify", setting)))
    if setting.c7n is not None:
        argv = [str(setting.c7n), str(PROBES / "c7n_policy.py")]
        found.append(Subject(C7N, Command(argv, _VARIABLES)))
    return [*found, *peers(setting)]


def peers(setting: Setting) -> list[Subject]:
    """Whatever stands in the folder of peers: each a folder with a program `run` in it."""
    if setting.peers is None:
        return []
    variables = setting.endpoint.environment if setting.endpoint else {}
    event = str(EVENTS / "pipeline-failed.json")
    homes = (
        [setting.peers] if (setting.peers / "run").is_file() else sorted(setting.peers.iterdir())
    )
    return [
        Subject(
            f"peer: {home.name}",
            Command([str(home / "run"), event], {**os.environ, **_VARIABLES, **variables}, home),
        )
        for home in homes
        if (home / "run").is_file()
    ]


def _answers(wanted: object) -> Check:
    def check(said: str) -> None:
        answered = json.loads(said.splitlines()[-1])
        if answered != wanted:
            raise AssertionError(f"answered {answered}, not {wanted}")

    return check


def _calls(setting: Setting, wanted: Mapping[str, int]) -> Check:
    """At least these requests reached the endpoint, none was refused; none at all where empty."""

    def check(said: str) -> None:
        asked = setting.endpoint.asked() if setting.endpoint else {}
        is_short = any(asked.get(name, 0) < count for name, count in wanted.items())
        if is_short or any(name.endswith("?") for name in asked) or (asked and not wanted):
            raise AssertionError(f"asked {asked}, not {dict(wanted)}; it said:\n{said}")

    return check


def _judged(count: int) -> Check:
    def check(said: str) -> None:
        verdicts = json.loads(said)["verdicts"]
        if sum(verdicts.values()) != count or len(verdicts) < 2:
            raise AssertionError(f"judged {verdicts}")

    return check
