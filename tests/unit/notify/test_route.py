from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.notice import IncidentMove, Notice, Severity, Tier
from notify.route import DEFAULT, PATTERN, Channel, complaint, lacking, parse, route
from operations.template import load
from trellis.errors import ConfigError

ALL = tuple(Channel)


def notice(
    severity: Severity = Severity.ERROR,
    tier: Tier | None = None,
    incident: IncidentMove | None = None,
) -> Notice:
    return Notice(
        severity=severity,
        state="X",
        headline="x",
        tier=tier,
        incident=incident,
        incident_keys=("k",),
    )


def sent(text: str, told: Notice, configured: tuple[Channel, ...] = ALL) -> list[str]:
    return [channel.value for channel in route(told, parse(text), configured).channels]


def test_by_default_everything_that_matters_goes_everywhere() -> None:
    opening = notice(incident=IncidentMove.OPEN)
    assert sent("", opening) == ["email", "slack", "teams", "pagerduty", "webhook"]
    assert sent("", notice(Severity.ACTION)) == ["email", "slack", "teams", "webhook"]
    assert sent("", notice(Severity.INFO)) == ["slack"]
    assert sent("", notice(Severity.PROGRESS)) == []


def test_the_first_rule_that_fits_decides() -> None:
    table = "error@prod=pagerduty error@dev=none error=email"
    opening = IncidentMove.OPEN
    assert sent(table, notice(tier=Tier.PROD, incident=opening)) == ["pagerduty"]
    assert sent(table, notice(tier=Tier.DEV, incident=opening)) == []
    assert sent(table, notice(tier=Tier.TEST, incident=opening)) == ["email"]
    assert sent(table, notice(tier=None)) == ["email"]


def test_a_channel_that_is_not_set_up_gets_nothing() -> None:
    assert sent("", notice(incident=IncidentMove.OPEN), (Channel.EMAIL,)) == ["email"]


def test_what_ends_an_incident_reaches_pagerduty_whatever_the_rules_say() -> None:
    closing = notice(Severity.PROGRESS, incident=IncidentMove.CLOSE)
    assert sent("", closing) == ["pagerduty"]
    assert sent("", closing, (Channel.EMAIL,)) == []


def test_pagerduty_hears_of_what_is_no_incident_only_when_it_is_named() -> None:
    assert sent("success=all", notice(Severity.SUCCESS)) == ["email", "slack", "teams", "webhook"]
    assert sent("success=pagerduty", notice(Severity.SUCCESS)) == ["pagerduty"]


@pytest.mark.parametrize(
    ("table", "configured", "reason"),
    [
        ("critical=all", ALL, "no rule tells anyone of error notices"),
        ("error=none", ALL, "error notices are told to nobody"),
        ("error=slack", (Channel.EMAIL,), "no channel for error notices is set up"),
        ("error=email+slack", ALL, "error notices go to email, slack"),
    ],
)
def test_says_why(table: str, configured: tuple[Channel, ...], reason: str) -> None:
    assert route(notice(), parse(table), configured).reason == reason


WRONG = [
    "error",
    "error=",
    "=email",
    "eror=email",
    "error=emial",
    "error=email,slack",
    "error@qa=email",
    "error=email+",
    "error=all+email",
    "error=email  warning=smoke",
    "error=none+email",
    "ERROR=email",
]


@pytest.mark.parametrize("table", WRONG)
def test_names_the_rule_that_does_not_read_and_the_mend(table: str) -> None:
    with pytest.raises(ConfigError, match=r"NOTIFICATION_ROUTES is .*severity=channels"):
        parse(table)


@pytest.mark.parametrize("table", WRONG)
def test_the_pattern_for_the_template_refuses_what_the_function_would(table: str) -> None:
    assert re.match(PATTERN, table) is None


rules = st.builds(
    lambda severity, tier, channels: f"{severity}{tier}={channels}",
    st.sampled_from([severity.value for severity in Severity]),
    st.sampled_from(["", *(f"@{tier.value}" for tier in Tier)]),
    st.one_of(
        st.sampled_from(["all", "none"]),
        st.lists(st.sampled_from([c.value for c in Channel]), min_size=1).map("+".join),
    ),
)


@given(st.lists(rules))
def test_the_pattern_for_the_template_takes_what_the_function_takes(table: list[str]) -> None:
    text = " ".join(table)
    assert re.match(PATTERN, text)
    assert len(parse(text)) == (len(table) or len(DEFAULT.split()))


@given(st.text(alphabet="aceghilmnoprstuvw=@+ ", max_size=40))
def test_the_pattern_and_the_function_agree_on_any_text(text: str) -> None:
    tidy = " ".join(text.split())
    try:
        parse(tidy)
    except ConfigError:
        assert not re.match(PATTERN, tidy)
    else:
        assert re.match(PATTERN, tidy)


def test_a_table_of_ones_own_may_name_only_channels_that_are_set_up() -> None:
    for table in ("", "error=email", "error=all"):
        assert lacking(table, [Channel.EMAIL]) == frozenset()
    missing = lacking("error=email+teams warning=webhook", [Channel.EMAIL])
    assert missing == {Channel.TEAMS, Channel.WEBHOOK}
    assert "add teams, webhook to the chat secret" in str(complaint(missing))


def test_the_template_checks_the_table_with_this_pattern() -> None:
    parameter = load()["Parameters"]["NotificationRoutes"]
    assert parameter["AllowedPattern"] == PATTERN
    assert parameter["Default"] == ""
