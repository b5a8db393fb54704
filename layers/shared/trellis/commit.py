"""The message of a commit, as CodePipeline hands it on."""

from __future__ import annotations

import json

_LONGEST_ESCAPE = 6


def commit_message(summary: str) -> str:
    """The message in a revision's summary: a connection writes JSON around it, others write it so.

    `{"ProviderType": "GitHub", "CommitMessage": "…"}`; a summary has at most 2,048 characters
    (https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ArtifactRevision.html), and
    of one that was cut the part of the message that it holds is given.
    """
    if not summary.lstrip().startswith("{"):
        return summary
    # Cut within the message, maybe within an escape as `\u00e9`.
    cut = (f'{summary[: len(summary) - left]}"}}' for left in range(_LONGEST_ESCAPE))
    for text in (summary, *cut):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        message = found.get("CommitMessage")
        # Half of a character that takes two escapes is no text that can be sent on.
        return message.encode(errors="ignore").decode() if isinstance(message, str) else summary
    return summary
