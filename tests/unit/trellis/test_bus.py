"""The bus, against EventBridge as moto models it and against botocore's own shapes."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from tests.unit.trellis.test_events import AUDIT, ROLLBACK
from trellis.bus import Bus
from trellis.errors import BusError


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


def test_publishes_an_event_and_returns_its_id() -> None:
    with mock_aws():
        assert Bus(boto3.client("events", region_name="us-east-1")).publish(AUDIT)


def test_an_entry_says_what_it_is_about() -> None:
    client = boto3.client("events", region_name="us-east-1")
    with Stubber(client) as stub:
        stub.add_response(
            "put_events",
            {"FailedEntryCount": 0, "Entries": [{"EventId": "e-9"}]},
            {
                "Entries": [
                    {
                        "Source": "trellis",
                        "DetailType": "Trellis Rollback State Change",
                        "Detail": json.dumps(ROLLBACK.to_detail(), ensure_ascii=False),
                        "Resources": ["arn:aws:codepipeline:us-east-1:123456789012:shop"],
                        "Time": ANY,
                    }
                ]
            },
        )
        arn = "arn:aws:codepipeline:us-east-1:123456789012:shop"
        assert Bus(client).publish(ROLLBACK, (arn,)) == "e-9"


def test_an_entry_that_the_bus_refused_is_an_error_though_the_call_succeeded() -> None:
    client = boto3.client("events", region_name="us-east-1")
    with Stubber(client) as stub:
        stub.add_response(
            "put_events",
            {
                "FailedEntryCount": 1,
                "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}],
            },
        )
        with pytest.raises(BusError, match="InternalFailure: try again"):
            Bus(client).publish(AUDIT)
