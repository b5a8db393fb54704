from __future__ import annotations

import pytest

from notify.config import Config
from trellis.errors import ConfigError

DEPLOYED = {
    "NOTIFICATION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:shop",
    "LEDGER_TABLE_NAME": "shop-ledger-main",
    "AWS_REGION": "us-east-1",
}


def test_reads_what_the_template_sets() -> None:
    config = Config.from_env(
        {**DEPLOYED, "DRY_RUN": "false", "NOTIFY_QUEUE_URL": "https://q", "STACK_NAME": "shop-main"}
    )
    assert config.stack == "shop-main"
    assert config.topic_arn == DEPLOYED["NOTIFICATION_TOPIC_ARN"]
    assert (config.is_dry_run, config.queue_url, config.most_receives) == (False, "https://q", 5)
    assert config.chat_secret_arn is None


def test_a_dry_run_needs_nothing() -> None:
    assert Config.from_env({"DRY_RUN": "true"}).is_dry_run


@pytest.mark.parametrize("name", ["NOTIFICATION_TOPIC_ARN", "LEDGER_TABLE_NAME"])
def test_names_what_is_missing(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Config.from_env({**DEPLOYED, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LONE_ACTION_WAIT_SECONDS", "901"),
        ("SILENT_API_WAIT_SECONDS", "soon"),
        ("NOTIFY_MAX_RECEIVES", "0"),
        ("DRY_RUN", "yes"),
        ("NOTIFICATION_ROUTES", "error:email"),
    ],
)
def test_names_what_is_wrong(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is '{value}'"):
        Config.from_env({**DEPLOYED, name: value})
