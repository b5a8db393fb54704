"""The demo's timeline: plain when kept, whole when an e-mail is long."""

from __future__ import annotations

import io

from sandbox.stories.world import Mark
from sandbox.timeline import Timeline

LETTER = {
    "to": "releases@example.com",
    "subject": "v2 waits for your approval",
    "body": "Approve or reject it:\nhttps://console.example/" + "x" * 120 + "\n\n--\nunsubscribe",
}


def test_plain_output_holds_no_control_characters() -> None:
    output = io.StringIO()
    timeline = Timeline(output)
    timeline.title("A story")
    timeline.happened("us-east-1", "Build", Mark.DONE, "5 tests passed")
    timeline.letter("us-east-1", LETTER)
    assert "\x1b" not in output.getvalue()
    assert "us-east-1  Build                ✓ 5 tests passed" in output.getvalue()


def test_a_long_text_goes_on_under_its_own_column() -> None:
    output = io.StringIO()
    Timeline(output).happened("us-east-1", "DeployToTest", Mark.FAILED, "instance " * 20)
    lines = output.getvalue().splitlines()
    assert len(lines) > 1
    assert all(line.startswith(" " * 41) for line in lines[1:])


def test_an_e_mail_is_shown_without_sns_s_footer_and_with_its_links_in_one_piece() -> None:
    output = io.StringIO()
    Timeline(output).letter("us-east-1", LETTER)
    text = output.getvalue()
    assert "unsubscribe" not in text
    assert "https://console.example/" + "x" * 120 in text


def test_what_was_printed_is_kept_for_the_file() -> None:
    timeline = Timeline(io.StringIO())
    timeline.happened("", "sam build", Mark.DONE, "built")
    timeline.closing(["us-east-1 serves: Prod v2"])
    assert any("sam build" in line for line in timeline.record)
    assert timeline.record[-1] == "us-east-1 serves: Prod v2"
