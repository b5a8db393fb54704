"""Our audit and Cloud Custodian on one estate: who finds what, for how much.

`python -m benchmarks.audit_peers --resources 10000` starts the estate (`audit_estate.py`), lets
both look at it one after the other as fresh processes, holds what they found against the truth,
counts their requests where they arrive, and writes the table into README.md.

https://cloudcustodian.io/docs/filters.html
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.artifacts import PROJECT
from benchmarks.audit_estate import REGION, REQUIRED
from benchmarks.process import Command, Cost, Starter, starter
from benchmarks.subjects import PROBES

DEV = Path(sys.prefix) / "bin/python"
CUSTODIAN = PROJECT / ".venv/c7n/bin/python"
TYPES = {
    "s3": "aws.s3",
    "sqs": "aws.sqs",
    "sns": "aws.sns",
    "dynamodb": "aws.dynamodb-table",
    "kms": "aws.kms-key",
    "logs": "aws.log-group",
    "secretsmanager": "aws.secrets-manager",
    "lambda": "aws.lambda",
}
"""Cloud Custodian's names of the estate's types."""

START_TIMEOUT = 600.0
"""Seconds in which an estate of ten thousand is made on a busy machine."""


class EstateError(Exception):
    """When the estate does not come up; the text has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Estate:
    """An account that answers, and what is wrong in it."""

    endpoint: str
    truth: Mapping[str, Mapping[str, Any]]
    """By ARN: `missing` and `blank`, the keys that are."""

    def asked(self) -> int:
        """How many requests arrived since this was last asked."""
        with urllib.request.urlopen(f"{self.endpoint}/benchmark/asked") as answer:  # noqa: S310  # loopback
            return int(answer.read())

    def with_wrong(self, what: str) -> set[str]:
        """The ARNs of which a key is `missing` or `blank`."""
        return {arn for arn, one in self.truth.items() if one[what]}


@dataclass(frozen=True, slots=True)
class Score:
    """How much of the truth was found, and how much of what was found is true; 0 to 1."""

    missing: float
    blank: float
    precision: float


@dataclass(frozen=True, slots=True)
class KeyScore:
    """The same key by key: how many keys of a kind are wrong, were named, and rightly so."""

    wrong: int
    named: int
    right: int


@dataclass(frozen=True, slots=True)
class Run:
    """One tool on one estate."""

    name: str
    score: Score
    requests: int
    cost: Cost
    """What its own process cost."""
    seconds: float
    keys: Mapping[str, KeyScore] | None = None
    """By `missing` and `blank`; None where a tool names resources, and no keys."""


@contextmanager
def estate(resources: int, folder: Path) -> Iterator[Estate]:
    """An estate for the length of a `with`. Raises EstateError."""
    truth, said = folder / "truth.json", folder / "estate.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(DEV), "-m", "benchmarks.audit_estate"),
                *("--resources", str(resources), "--truth", str(truth)),
            ],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("http"):
            end = said.read_text(errors="replace").strip().splitlines()[-3:]
            raise EstateError(f"the estate did not come up: {' / '.join(end)}")
        yield Estate(line.strip(), json.loads(truth.read_text()))
    finally:
        if process.stdin:
            process.stdin.close()
        if process.stdout:
            process.stdout.close()
        process.kill()
        process.wait()


def scored(truth: Estate, found: set[str]) -> Score:
    """Resource by resource: a tool that names a resource at all is given the point."""
    missing, blank = truth.with_wrong("missing"), truth.with_wrong("blank")
    right = found & (missing | blank)
    return Score(
        missing=len(found & missing) / len(missing),
        blank=len(found & blank) / len(blank),
        precision=len(right) / len(found) if found else 0.0,
    )


def scored_by_key(
    truth: Estate, found: Mapping[str, Mapping[str, set[str]]]
) -> dict[str, KeyScore]:
    """Key by key, `missing` and `blank` apart; a key that is called the other is wrong in both."""
    scores = {}
    for what in ("missing", "blank"):
        wrong = {(arn, key) for arn, one in truth.truth.items() for key in one[what]}
        named = {(arn, key) for arn, one in found.items() for key in one[what]}
        scores[what] = KeyScore(len(wrong), len(named), len(wrong & named))
    return scores


def ours(at: Estate, out: Path, start: Starter) -> Run:
    """`make audit SCOPE=account`, as it is run from a laptop."""
    command = Command(
        [
            *(str(DEV), "-m", "operations.audit", "--endpoint", at.endpoint),
            *("--scope", "account", "--regions", REGION, "--out", str(out)),
        ],
        {
            **_keys(at),
            "MALLOC_ARENA_MAX": "1",  # as `make audit` sets it
            "PYTHONPATH": os.pathsep.join(("functions", "layers/shared", ".")),
        },
        PROJECT,
    )
    start.run(command)  # what is measured finds its byte code, as on any day but the first
    cost, requests, seconds = _run(command, at, start)
    found = found_by_us(out)
    return Run(
        "tagging_audit",
        scored(at, set(found)),
        requests,
        cost,
        seconds,
        scored_by_key(at, found),
    )


def found_by_us(out: Path) -> dict[str, dict[str, set[str]]]:
    """By ARN, the keys that our report calls `missing` and `blank`."""
    report = json.loads((out / "report.json").read_text())
    called = {"missing": "missing", "near-miss": "missing", "blank": "blank", "empty": "blank"}
    found: dict[str, dict[str, set[str]]] = {}
    for one in report["resources"]:
        for finding in one["findings"]:
            by_kind = found.setdefault(one["arn"], {"missing": set(), "blank": set()})
            by_kind[called[finding["problem"]]].add(finding["tag"])
    return found


def theirs(at: Estate, folder: Path, start: Starter) -> Run:
    """Cloud Custodian with one policy a type, as its documentation writes them."""
    filters = [{f"tag:{key}": problem} for key in REQUIRED for problem in ("absent", "empty")]
    policies = [
        {"name": name, "resource": kind, "filters": [{"or": filters}]}
        for name, kind in TYPES.items()
    ]
    file = folder / "policies.json"
    file.write_text(json.dumps({"policies": policies}))
    command = Command(
        [
            *(str(CUSTODIAN), "-W", "ignore", str(PROBES / "c7n_run.py")),
            *("run", "--region", REGION, "--cache-period", "0"),
            *("--output-dir", str(folder / "custodian"), str(file)),
        ],
        {**_keys(at), "HOME": str(folder)},
        folder,
    )
    cost, requests, seconds = _run(command, at, start)
    found = {
        arn
        for name in TYPES
        for one in json.loads((folder / "custodian" / name / "resources.json").read_text())
        if (arn := _arn(name, one))
    }
    return Run("Cloud Custodian", scored(at, found), requests, cost, seconds)


def _arn(name: str, one: Mapping[str, Any]) -> str:
    match name:
        case "s3":
            return f"arn:aws:s3:::{one['Name']}"
        case "sqs":
            return str(one["QueueArn"])
        case "sns":
            return str(one["TopicArn"])
        case "dynamodb":
            return str(one["TableArn"])
        case "kms":
            return str(one.get("Arn") or one["KeyArn"])
        case "logs":
            return str(one["arn"]).removesuffix(":*")
        case "secretsmanager":
            return str(one["ARN"])
        case _:
            return str(one["FunctionArn"])


def _keys(at: Estate) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": at.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
    }


def _run(command: Command, at: Estate, start: Starter) -> tuple[Cost, int, float]:
    at.asked()
    began = time.monotonic()
    cost, _ = start.run(command)
    return cost, at.asked(), time.monotonic() - began


def table(resources: int, runs: Sequence[Run]) -> str:
    """Both, side by side."""
    us, them = runs[0], runs[-1]
    when = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        f"{resources:,} resources in moto's server, {when}, Python {platform.python_version()}, "
        "one run:",
        "",
        "| | missing, recall | blank, recall | precision | requests | CPU s | peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one.name} | {one.score.missing:.3f} | {one.score.blank:.3f} "
            f"| {one.score.precision:.3f} | {one.requests:,} | {one.cost.cpu_ms / 1000:.2f} "
            f"| {one.cost.peak_mb:.0f} |"
            for one in runs
        ),
    ]
    for one in runs:
        if one.keys is not None:
            lines += ["", _by_key(one.name, one.keys)]
    if us is not them:
        lines += [
            "",
            f"Cloud Custodian: {them.requests / us.requests:.0f} times the requests, "
            f"{them.cost.cpu_ms / us.cost.cpu_ms:.0f} times the processor time, "
            f"{them.cost.peak_mb / us.cost.peak_mb:.1f} times the memory.",
        ]
    return "\n".join(lines) + "\n"


def _by_key(name: str, keys: Mapping[str, KeyScore]) -> str:
    said = "; ".join(
        f"{what} recall {one.right / one.wrong:.3f} ({one.right:,} of {one.wrong:,}), "
        f"precision {one.right / one.named:.3f}"
        for what, one in keys.items()
    )
    return f"{name}, key by key: {said}."


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_peers", description=__doc__)
    parser.add_argument("--resources", type=int, default=10_000)
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(prefix="audit-") as name, starter() as start:
        folder = Path(name)
        sys.stderr.write(f"making {options.resources:,} resources\n")
        with estate(options.resources, folder) as at:
            sys.stderr.write("tagging_audit\n")
            runs.append(ours(at, folder / "ours", start))
            if CUSTODIAN.exists():
                sys.stderr.write("Cloud Custodian, which takes minutes\n")
                runs.append(theirs(at, folder, start))
    said = table(options.resources, runs)
    sys.stdout.write(said)
    readme = Path(__file__).with_name("README.md")
    opening, closing = "<!-- audit -->\n", "<!-- /audit -->"
    before, _, rest = readme.read_text().partition(opening)
    _, _, after = rest.partition(closing)
    readme.write_text(f"{before}{opening}{said}{closing}{after}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
