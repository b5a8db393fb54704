"""Every channel keeps its limits and shows text as text, for any text there is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notify.channels import email, pagerduty, slack, teams, webhook
from notify.notice import Fact, IncidentMove, Link, Notice, Severity, Stop
from notify.parcel import Parcel
from notify.rehearse import rehearse
from notify.route import parse
from notify.wording import width
from tests.unit.notify.samples import sample

NASTY = [
    "<!channel>",
    "<@U1> <#C1> <!here>",
    "&lt;&amp;&&&gt;",
    "<https://evil.example|your bank>",
    "[click](https://evil.example) **bold** `code`",
    "```\nout of the code\n```",
    "\u202edesrever\u202c \u2066isolated\u2069",
    "שלום עולם مرحبا بالعالم",
    "👩‍👩‍👧‍👦🏳️‍🌈🇪🇺",
    "\x00\x07\x1b[31mred\r\n\t\x7f\x85\u2028\u2029",
    "e\u0301" * 50,
    "\ud800",
    "{{0}} %s ${X} {x}",
    "",
    " ",
    "a\n" * 300,
]
texts = st.one_of(
    st.text(st.characters(), max_size=120),
    st.sampled_from(NASTY),
    st.builds(
        lambda piece, times: (piece * times)[:30_000],
        st.one_of(st.text(min_size=1, max_size=4), st.sampled_from(NASTY)),
        st.sampled_from([1, 30, 1000, 10_000]),
    ),
)
urls = st.one_of(
    st.sampled_from(
        [
            "https://console.aws.amazon.com/x?region=us-east-1#/a|b/<ID>&c",
            "http://example.com/" + "x" * 5000,
            "javascript:alert(1)",
            "https://example.com/ with space",
        ]
    ),
    texts.map(lambda text: "https://example.com/" + text),
)
maybe = st.one_of(st.none(), texts)
notices = st.builds(
    Notice,
    severity=st.sampled_from(Severity),
    state=texts,
    headline=texts,
    facts=st.lists(st.builds(Fact, texts, texts), max_size=25).map(tuple),
    links=st.lists(st.builds(Link, texts, texts, urls), max_size=12).map(tuple),
    next_steps=st.lists(texts, max_size=4).map(tuple),
    log_tail=st.lists(texts, max_size=20).map(tuple),
    log_source=maybe,
    command=maybe,
    pipeline=maybe,
    stage=maybe,
    action=maybe,
    execution_id=maybe,
    region=maybe,
    account=maybe,
    failure_reason=maybe,
    incident=st.sampled_from([None, *IncidentMove]),
    incident_keys=st.lists(texts, min_size=1, max_size=3).map(tuple),
    may_repeat=st.booleans(),
    track=st.lists(st.builds(Stop, texts, texts), max_size=60).map(tuple),
)
any_notice = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@any_notice
@given(notices)
def test_mail_has_a_short_clean_subject_and_a_body_that_sns_takes(notice: Notice) -> None:
    found = email.render(notice)
    check_mail(found)


def check_mail(found: dict[str, str]) -> None:
    assert 0 < len(found["subject"]) < 100
    assert found["subject"].isprintable() or not re.search(
        r"[\x00-\x1f\x7f-\x9f]", found["subject"]
    )
    assert len(found["subject"].splitlines()) == 1
    assert 0 < len(found["body"].encode()) <= 262_144
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", found["body"])


@any_notice
@given(notices)
def test_slack_keeps_its_limits_and_nothing_from_outside_is_live(notice: Notice) -> None:
    check_slack(slack.render(notice))
    check_slack(slack.render_card(notice))


def check_slack(message: dict[str, Any]) -> None:
    assert 1 <= width(message["text"]) <= 3000
    assert is_inert(message["text"])
    assert 1 <= len(message["blocks"]) <= 50
    for block in message["blocks"]:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= width(block["text"]["text"]) <= 150
            case "section":
                assert ("text" in block) != ("fields" in block)
                assert len(block.get("fields", [])) <= 10
                for field in block.get("fields", []):
                    assert 1 <= width(field["text"]) <= 2000
                    assert is_inert(field["text"])
                if "text" in block:
                    assert 1 <= width(block["text"]["text"]) <= 3000
                    assert is_inert(block["text"]["text"])
            case "context":
                assert len(block["elements"]) <= 10
            case other:
                raise AssertionError(other)
    json.dumps(message, ensure_ascii=False).encode()


def is_inert(text: str) -> bool:
    """Nothing Slack acts on but the links that we wrote, no half entity, no open code block."""
    without_links = re.sub(r"<https?://[^<>|]*\|[^<>|]*>", "", text)
    whole_entities = re.sub(r"&(?:amp|lt|gt);", "", without_links)
    return not re.search(r"[<>&]", whole_entities) and text.count("```") % 2 == 0


@any_notice
@given(notices)
def test_a_teams_card_is_small_enough(notice: Notice) -> None:
    check_teams(teams.render(notice))


def check_teams(message: dict[str, Any]) -> None:
    assert len(json.dumps(message, ensure_ascii=False).encode()) <= 21_000
    (attachment,) = message["attachments"]
    card = attachment["content"]
    assert len(card["actions"]) <= 6
    for block in card["body"]:
        assert block["type"] == "RichTextBlock"  # the only one that knows no Markdown
        assert block["inlines"]
        assert all(run["type"] == "TextRun" for run in block["inlines"])


@any_notice
@given(notices)
def test_a_page_is_what_pagerduty_takes(notice: Notice) -> None:
    for event in pagerduty.render(notice):
        check_page(event)


def check_page(event: dict[str, Any]) -> None:
    assert len(json.dumps(event, ensure_ascii=False).encode()) <= 512 * 1024
    if "dedup_key" in event:
        assert len(event["dedup_key"].encode()) <= 255
    if event.get("event_action") == "resolve":
        return
    payload = event["payload"]
    assert 1 <= len(payload["summary"]) <= 1024
    assert payload["source"]
    if "event_action" in event:
        assert payload["severity"] in ("critical", "error", "warning", "info")


@any_notice
@given(notices)
def test_the_webhooks_body_is_bounded(notice: Notice) -> None:
    assert len(json.dumps(webhook.render(notice), ensure_ascii=False).encode()) <= 512 * 1024


FIELDS = {
    "build-action-failed": ("pipeline", "stage", "action", "execution_id"),
    "pipeline-stopping": ("pipeline", "stop_execution_comments"),
    "build-failed": ("project_name", "build_id"),
    "alarm-on": ("alarmName",),
    "health-severe": ("Message", "EnvironmentName", "ApplicationName", "Status"),
    "rollback-failed": ("pipeline", "stage", "environment", "reason", "next_command"),
}


@any_notice
@given(st.sampled_from(sorted(FIELDS)), st.data())
def test_any_text_in_any_field_of_an_event_is_rendered_within_every_limit(
    name: str, data: st.DataObject
) -> None:
    fields = {field: data.draw(texts) for field in FIELDS[name]}
    said = data.draw(texts)
    event = sample(name, **fields)
    if "execution-result" in event["detail"]:
        event["detail"]["execution-result"]["external-execution-summary"] = said
        event["detail"]["execution-result"]["external-execution-url"] = data.draw(urls)
    if "state" in event["detail"] and isinstance(event["detail"]["state"], dict):
        event["detail"]["state"]["reason"] = said
    found = rehearse(Parcel(content=event), parse(""))
    if found["outcome"] != "rendered":
        assert found["outcome"] == "unrecognised"
        return
    check_mail(found["renderings"]["email"])
    check_slack(found["renderings"]["slack"])
    check_teams(found["renderings"]["teams"])
    check_page(found["renderings"]["pagerduty"])
    json.dumps(found, ensure_ascii=False)


@pytest.mark.parametrize("text", ["<!channel>", "<@U1>", "&lt;", "שלום 🌱", "a & b <c>"])
@pytest.mark.parametrize("field", ["reason", "commit"])
def test_markup_and_any_script_are_shown_as_text_in_all_five(text: str, field: str) -> None:
    if field == "reason":
        result = {"external-execution-summary": f"said {text} twice", "error-code": "JobFailed"}
        event = sample("build-action-failed", execution_result=result)
    else:
        result = {"external-execution-summary": f"said {text} twice", "external-execution-id": "x"}
        event = sample("source-action-succeeded", execution_result=result)
    shown = rehearse(Parcel(content=event), parse(""))["renderings"]
    said = f"said {text} twice"
    assert said in shown["email"]["body"]
    assert slack.escape(said) in repr(shown["slack"])
    for channel in ("teams", "pagerduty", "webhook"):
        assert said in repr(shown[channel])


def test_an_error_text_of_300_kilobytes_fits_everywhere_and_is_marked_as_cut() -> None:
    result = {"external-execution-summary": "boom " * 60_000, "error-code": "JobFailed"}
    shown = rehearse(
        Parcel(content=sample("build-action-failed", execution_result=result)), parse("")
    )["renderings"]
    check_mail(shown["email"])
    check_slack(shown["slack"])
    check_teams(shown["teams"])
    check_page(shown["pagerduty"])
    assert all("…" in json.dumps(one, ensure_ascii=False) for one in shown.values())


def test_an_entity_is_never_cut_in_two() -> None:
    for limit in range(1, 40):
        assert is_inert(slack.escaped("&&&&<<<<>>>>" * 3, limit).replace("…", ""))


def test_slack_drops_the_log_and_the_last_evidence_before_its_blocks_are_too_long() -> None:
    long = "a & b " * 2000
    names = ("Reason", "What one says", "What two says", "What three says")
    notice = Notice(
        severity=Severity.ERROR,
        state="FAILED",
        headline="DeployToProd failed",
        facts=tuple(Fact(name, long) for name in names),
        links=(Link("execution", "The release", "https://example.com/" + "x" * 200),),
        next_steps=("Open the failed action and read what it says.",),
        command="c" * 1000,
        log_tail=(long,),
    )
    message = slack.render(notice)
    check_slack(message)
    texts = [block["text"]["text"] for block in message["blocks"]]
    assert sum(map(len, texts)) <= slack.MOST_TOGETHER
    shown = "\n".join(texts)
    assert "*Reason*" in shown
    assert "Open the failed action" in shown
    assert "https://example.com/" in shown
    assert "What three says" not in shown
    assert "The end of the log" not in shown
