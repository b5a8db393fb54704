"""How messages read. Look at each file as the person who gets it: __snapshots__/test_golden."""

from __future__ import annotations

import json
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from notify.channels import slack
from notify.compose.card import card
from notify.parcel import parcels_in
from notify.recognise import recognise
from notify.rehearse import rehearse, renderings
from notify.route import parse
from notify.story import sighting
from tests.unit.notify.runs import failed_run
from tests.unit.notify.samples import names, sample
from tests.unit.notify.scenes import AT, SCENES


class TextFile(SingleFileSnapshotExtension):
    """One readable file for each message."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(TextFile)


def mail(found: dict[str, str]) -> str:
    return f"Subject: {found['subject']}\n\n{found['body']}"


@pytest.mark.parametrize("name", names())
def test_mail_of_every_event_that_ships(name: str, golden: SnapshotAssertion) -> None:
    said = []
    for parcel in parcels_in(sample(name)):
        found = rehearse(parcel, parse(""))
        if found["outcome"] == "rendered":
            where = ", ".join(found["would_send"]) or "nobody"
            said.append(f"To: {where}\n{mail(found['renderings']['email'])}")
        else:
            said.append(f"{found['outcome']}: {found['reason']}\n")
    assert "\n----\n\n".join(said) == golden


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_in_every_channel(name: str, golden: SnapshotAssertion) -> None:
    notice = SCENES[name].notice()
    found = renderings(notice)
    said = [mail(found.pop("email"))]
    said += [f"# {channel}\n{pretty(content)}\n" for channel, content in found.items()]
    assert "\n".join(said) == golden


def test_the_one_slack_message_of_a_release_as_it_proceeds(golden: SnapshotAssertion) -> None:
    sightings: dict[str, Any] = {}
    said = []
    for event in failed_run("5b7c9d31-6a0e-4c1f-9d7a-2f8e41c0b6a3"):
        if event["source"] != "aws.codepipeline":
            continue
        happening: Any = recognise(event)
        one = sighting(happening, AT)
        sightings[one.subject] = one
        shown = slack.render_card(card(happening, list(sightings.values())))
        said.append(readable(shown))
    assert "\n".join(dict.fromkeys(said)) == golden


def readable(message: dict[str, Any]) -> str:
    lines = []
    for block in message["blocks"]:
        lines += [block["text"]["text"]] if "text" in block else []
        lines += [field["text"].replace("\n", " ") for field in block.get("fields", [])]
    return "\n".join(lines) + "\n"


def pretty(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)
