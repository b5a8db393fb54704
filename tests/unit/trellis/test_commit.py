"""The message of a commit, as CodePipeline hands it on."""

from __future__ import annotations

import json

import pytest

from trellis.commit import commit_message

MESSAGE = 'Sell "Pain au raisin" é 🥐\n\nRollback-Safe: no'
WRAPPED = json.dumps({"ProviderType": "GitHub", "CommitMessage": MESSAGE})


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        (MESSAGE, MESSAGE),
        (WRAPPED, MESSAGE),
        ("", ""),
        ("{curly words}", "{curly words}"),
        ('{"ProviderType":"GitHub"}', '{"ProviderType":"GitHub"}'),
        ('{"CommitMessage": 7}', '{"CommitMessage": 7}'),
    ],
)
def test_a_message_is_read_from_the_json_around_it(summary: str, message: str) -> None:
    assert commit_message(summary) == message


@pytest.mark.parametrize("length", range(WRAPPED.index("Sell"), len(WRAPPED)))
def test_of_a_summary_that_was_cut_what_it_holds_is_given(length: int) -> None:
    found = commit_message(WRAPPED[:length])
    assert MESSAGE.startswith(found)
    found.encode()
