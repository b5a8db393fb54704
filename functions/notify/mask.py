"""Taking secrets out of error texts and log tails before anyone sees them.

Builds print their environment, stack traces print connection strings. What has the shape of a
credential is replaced by what it was, so that the text still reads.
"""

from __future__ import annotations

import re

_WHOLE = (
    (
        "private key",
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    ),
    (
        "AWS access key",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    ),
    (
        "GitHub token",
        ("gh",),
        r"\b(?:gh[pousr]_[A-Za-z0-9]{20,300}|github_pat_[A-Za-z0-9_]{20,300})",
    ),
    ("GitLab token", ("glpat-",), r"\bglpat-[A-Za-z0-9_.-]{16,}"),
    ("Slack token", ("xox", "xapp-"), r"\bxox[a-z]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"),
    (
        "Slack webhook",
        ("hooks.slack",),
        r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[^\s\"'<>|]+",
    ),
    ("npm token", ("npm_",), r"\bnpm_[A-Za-z0-9]{30,}"),
    ("PyPI token", ("pypi-",), r"\bpypi-[A-Za-z0-9_-]{16,}"),
    (
        "API key",
        ("_live_", "_test_", "AIza"),
        r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|\bAIza[A-Za-z0-9_-]{30,}",
    ),
    (
        "JSON web token",
        ("eyJ",),
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,8000}(?:\.[A-Za-z0-9_-]{0,2000})?",
    ),
)
"""What it is called, texts of which one is in every match, and its shape."""

_WHOLE_RE = tuple((name, hints, re.compile(pattern, re.DOTALL)) for name, hints, pattern in _WHOLE)
_CALLED = ("passw", "pwd", "secret", "token", "key", "credential")
"""One of them is in every `_KEYWORD`."""

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
    """The text with everything that looks like a credential named instead of shown.

    A pattern is tried only where a text that every match of it holds is there: most texts hold
    none, and finding that out is a tenth of the work.
    """
    for name, hints, pattern in _WHOLE_RE:
        if any(hint in text for hint in hints):
            text = pattern.sub(f"[{name}]", text)
    # Patterns that take both cases take the likes of ſ and K for letters too: only plain texts are
    # passed over.
    lower = text.lower() if text.isascii() else None
    if lower is None or any(word in lower for word in ("bearer", "basic", "token")):
        text = _BEARER.sub(r"\1\2[token]", text)
    if "://" in text and "@" in text:
        text = _USERINFO.sub(r"\1:[password]@", text)
    if lower is None or any(word in lower for word in _CALLED):
        text = _ASSIGNED.sub(r"\1[secret]", text)
        text = _SAID.sub(r"\1[secret]", text)
    return text
