"""Documents that repeat the template are in step with it."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from operations.tables import README, with_tables
from operations.template import ROOT, load
from rollback.facts import Run
from rollback.gather import marked_unsafe
from rollback.order import Command, CommandName, read
from tests.template.faults import properties, turns_red_when
from tests.template.rendered import Template

DOCS = ROOT / "docs"
CENT = Decimal("0.01")


def rows(document: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in document.splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]


def test_the_readmes_tables_are_in_step() -> None:
    document = README.read_text(encoding="utf-8")
    assert with_tables(document, load()) == document, "run `python -m operations.tables`"


def test_the_arithmetic_of_the_cost_page_is_right() -> None:
    table = rows((DOCS / "cost.md").read_text(encoding="utf-8"))[1:]
    *items, together = table
    total = Decimal(0)
    for what, number, price, month in items:
        wanted = (Decimal(number) * Decimal(price)).quantize(CENT, ROUND_HALF_UP)
        assert Decimal(month) == wanted, what
        total += Decimal(month)
    assert together[-1] == f"**{total}**"


@turns_red_when(
    "an alarm that the page does not count",
    lambda source: source["Resources"].pop("LostUploadsAlarm"),
)
@turns_red_when(
    "a metric more in an alarm over a sum",
    lambda source: properties(source, "RollbackFailedAlarm")["Metrics"].append(
        properties(source, "RollbackFailedAlarm")["Metrics"][1] | {"Id": "another"}
    ),
)
@turns_red_when(
    "a machine that the page does not know",
    lambda source: source["Mappings"]["Environment"]["Prod"].update(InstanceTypes="m7i.large"),
)
def test_the_cost_page_counts_what_the_template_has(template: Template) -> None:
    form = template.resolved()
    counted = {
        what: number for what, number, *_ in rows((DOCS / "cost.md").read_text(encoding="utf-8"))
    }
    # https://aws.amazon.com/cloudwatch/pricing/: by alarm metric, each one that a sum adds up.
    watched = sum(
        sum("MetricStat" in part for part in alarm.get("Metrics", [{"MetricStat": {}}]))
        for alarm in form.of_type("AWS::CloudWatch::Alarm").values()
    )
    assert counted["Metrics that the stack's alarms watch"] == str(watched)
    assert counted["Dashboard"] == str(len(form.of_type("AWS::CloudWatch::Dashboard")))
    assert counted["KMS key"] == str(len(form.of_type("AWS::KMS::Key")))
    for name, row in template.source["Mappings"]["Environment"].items():
        [line] = [what for what in counted if what.startswith(f"{name}, ")]
        assert row["InstanceTypes"].split(",")[0] in line
        assert counted[line] == str(730 * int(row["MinSize"]))


def test_the_cost_page_counts_the_custom_metrics_that_it_lists() -> None:
    text = (DOCS / "cost.md").read_text(encoding="utf-8")
    listed = [int(number) for number in re.findall(r"^- .+ \((\d+)\)[;.]$", text, re.MULTILINE)]
    assert len(listed) == 3
    [number] = [row[1] for row in rows(text) if row[0] == "Custom metrics of the functions"]
    assert int(number) == sum(listed)


@turns_red_when(
    "an alarm that points nowhere",
    lambda source: properties(source, "DevHealthAlarm").update(
        AlarmDescription="Dev is bad. docs/operations.md, Nowhere."
    ),
)
def test_what_alarms_and_errors_point_at_is_a_heading_of_the_operations_page(
    template: Template,
) -> None:
    headings = set(
        re.findall(r"^## (.+)$", (DOCS / "operations.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for name, alarm in template.resolved().of_type("AWS::CloudWatch::Alarm").items():
        pointed = re.search(r"docs/operations\.md, ([^.]+)\.", alarm["AlarmDescription"])
        assert pointed, name
        assert " ".join(pointed[1].split()) in headings, (name, pointed[1])


PAGES = (
    README,
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "sandbox").rglob("*.md")),
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [README, DOCS / "operations.md"], ids=lambda page: page.name)
def test_the_upload_takes_any_subject_of_a_commit_and_keeps_what_marks_it(
    page: Path, tmp_path: Path
) -> None:
    [form] = re.findall(
        r"codepipeline-artifact-revision-summary=\$\(git log -1 --format='(.+)'\)",
        page.read_text(encoding="utf-8"),
    )

    def summary(*paragraphs: str) -> str:
        git = ["git", "-C", str(tmp_path), "-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
        subprocess.run([*git, "init", "--quiet"], check=True)
        said = [part for paragraph in paragraphs for part in ("-m", paragraph)]
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", *said], check=True)
        shown = subprocess.run(
            [*git, "log", "-1", f"--format={form}"], check=True, capture_output=True, text=True
        )
        return shown.stdout.removesuffix("\n")

    subject = 'Revert "Knead longer, brötchen=2"'
    told = summary(subject, "Why.", "Rollback-Safe: no")
    # What the shorthand of the AWS CLI takes as one value, and S3 as a header.
    assert re.fullmatch(r"[0-9a-f]{7,} Revert-Knead-longer-br-tchen-2 Rollback-Safe: no", told)
    assert marked_unsafe(
        Run(execution_id="1", status="Succeeded", started=datetime.now(UTC), summary=told)
    )
    assert re.fullmatch(r"[0-9a-f]{7,} Revert-Knead-longer-br-tchen-2", summary(subject, "Why."))


def test_the_documented_orders_are_those_that_rollback_understands() -> None:
    text = (DOCS / "rollback.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:aws lambda invoke|make order) .+$", text, re.MULTILINE)
    given = set()
    for line in lines:
        [order] = re.findall(r"(?:--payload |ORDER=)'(.+?)'", line)
        understood = read(json.loads(order), datetime.now(UTC), timedelta(hours=1))
        assert isinstance(understood, Command)
        given.add(understood.name)
        # AWS refuses to answer in the call.
        assert line.startswith("make") or "--invocation-type Event" in line
    assert given == set(CommandName)


def test_every_resource_type_that_cannot_be_tagged_is_told() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    [sentence] = re.findall(r"What CloudFormation cannot tag: (.+)", text)
    for word in ("Beanstalk application", "alias", "managed policies", "instance profile", "layer"):
        assert word in sentence
