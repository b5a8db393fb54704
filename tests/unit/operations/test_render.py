"""The dry run of files and folders, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from notify import handler
from operations.render import main
from tests.unit.notify.samples import FOLDER, names, sample


@pytest.fixture(autouse=True)
def _dry(monkeypatch: pytest.MonkeyPatch) -> None:
    handler._config.cache_clear()
    for name in ("DRY_RUN", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"):
        monkeypatch.setenv(name, "x")  # so that what `render` sets is taken back afterwards


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_file_is_one_document_in_the_documented_shape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(FOLDER / "deploy-action-failed.json")]) == 0
    found: dict[str, Any] = json.loads(printed(capsys))
    assert set(found) == {"outcome", "reason", "notice", "would_send", "renderings"}
    assert found["outcome"] == "rendered"
    assert set(found["notice"]) == {
        "severity",
        "headline",
        "pipeline",
        "stage",
        "action",
        "execution_id",
        "region",
        "state",
        "failure_reason",
        "links",
    }
    assert set(found["renderings"]) == {"email", "slack", "teams", "pagerduty", "webhook"}
    assert set(found["renderings"]["email"]) == {"subject", "body"}
    assert found["would_send"] == ["email", "slack", "teams", "pagerduty", "webhook"]
    assert found["notice"]["links"]["external"].startswith("https://us-east-1.console")


def test_a_folder_is_a_document_a_line_each_with_its_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(FOLDER)]) == 0
    lines = [json.loads(line) for line in printed(capsys).splitlines()]
    assert [line["file"] for line in lines] == sorted(f"{name}.json" for name in names())
    for line in lines:
        for item in line.get("items", [line]):
            assert item["outcome"] in ("rendered", "ignored")
            assert item["reason"]


def test_a_batch_is_a_list_of_items(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(FOLDER / "batch-from-the-queue.json")])
    assert [item["outcome"] for item in json.loads(printed(capsys))["items"]] == ["rendered"] * 3


def test_one_channel_may_be_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(FOLDER / "stage-failed.json"), "--channel", "slack"])
    assert list(json.loads(printed(capsys))["renderings"]) == ["slack"]
    main([str(FOLDER / "batch-from-the-queue.json"), "--channel", "teams"])
    for item in json.loads(printed(capsys))["items"]:
        assert list(item["renderings"]) == ["teams"]
    main([str(FOLDER / "tag-change.json"), "--channel", "teams"])
    assert json.loads(printed(capsys))["outcome"] == "ignored"


def test_a_file_that_is_no_json_is_the_text_of_a_mail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mail.json").write_text("Timestamp: now\nMessage: It broke.\nEnvironment: e")
    (tmp_path / "note.json").write_text("just a note")
    assert main([str(tmp_path)]) == 0
    mail, note = [json.loads(line) for line in printed(capsys).splitlines()]
    assert (mail["outcome"], note["outcome"]) == ("rendered", "unrecognised")


def test_names_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere.json"]) == 2
    assert "EVENT=nowhere.json: there is no such file" in capsys.readouterr().err


def test_an_event_that_breaks_it_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from operations import render

    def breaking(event: Any, context: Any) -> dict[str, Any]:
        if event == {"bad": True}:
            raise RuntimeError("boom")
        return handler.lambda_handler(event, context)

    monkeypatch.setattr(render, "lambda_handler", breaking)
    (tmp_path / "a.json").write_text('{"bad": true}')
    (tmp_path / "b.json").write_text(json.dumps(sample("stage-failed")))
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "a.json: RuntimeError: boom" in said.err
    assert json.loads(said.out)["file"] == "b.json"
