"""Taking secrets out of error texts and log tails before anyone sees them.

Builds print their environment, stack traces print connection strings. What has the shape of a
credential is replaced by what it was, so that the text still reads.
"""

from __future__ import annotations

import re

_WHOLE = (
    (
        "private key",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    ),
    ("AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{20,300}|github_pat_[A-Za-z0-9_]{20,300})"),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_.-]{16,}"),
    ("Slack token", r"\bxox[a-z]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"),
    (
        "Slack webhook",
        r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[^\s\"'<>|]+",
    ),
    ("npm token", r"\bnpm_[A-Za-z0-9]{30,}"),
    ("PyPI token", r"\bpypi-[A-Za-z0-9_-]{16,}"),
    ("API key", r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|\bAIza[A-Za-z0-9_-]{30,}"),
    (
        "JSON web token",
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,8000}(?:\.[A-Za-z0-9_-]{0,2000})?",
    ),
)
_WHOLE_RE = tuple((name, re.compile(pattern, re.DOTALL)) for name, pattern in _WHOLE)

# Names are tried only from where they begin, and only so far: a long word costs no more than a
# short one.
_NAME = r"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]{0,60}?"
_KEYWORD = (
    r"(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|signing[_-]?key|credentials?)"
)

_BEARER = re.compile(r"\b(bearer|basic|token)(\s+)[A-Za-z0-9._~+/-]{16,2000}=*", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+]{1,20}://[^\s/:@]{0,200}):[^\s/@]{1,200}@", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"""({_NAME}{_KEYWORD}[A-Za-z0-9_.-]{{0,30}}["']?\s?=\s?)"""
    r"""(?:"[^"\n]{3,2000}"|'[^'\n]{3,2000}'|[^\s"',;&<>|\[\]]{3,2000})""",
    re.IGNORECASE,
)
# After a colon stands prose as often as a value ("InvalidToken: The token …"): a name that ends
# with the word, and a value that does not read as one. Between two colons stands part of an ARN.
_SAID = re.compile(
    rf"""((?<!:){_NAME}{_KEYWORD}["']?\s?:\s?)"""
    r"""(?:"[^"\n]{3,2000}"|'[^'\n]{3,2000}'"""
    r"""|(?=[^\s"',;&<>|\[\]]{0,200}[0-9!@#$%^*+/=])[^\s"',;&<>|\[\]]{6,2000})""",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """The text with everything that looks like a credential named instead of shown."""
    for name, pattern in _WHOLE_RE:
        text = pattern.sub(f"[{name}]", text)
    text = _BEARER.sub(r"\1\2[token]", text)
    text = _USERINFO.sub(r"\1:[password]@", text)
    text = _ASSIGNED.sub(r"\1[secret]", text)
    return _SAID.sub(r"\1[secret]", text)
