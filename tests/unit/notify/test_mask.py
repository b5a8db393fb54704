from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.mask import _ASSIGNED, _BEARER, _SAID, _USERINFO, _WHOLE_RE, mask

SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ456789",
    "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
    "glpat-ABCdef123456789012345",
    "xoxb-123456789012-abcdefABCDEF",
    "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXX",
    "npm_0123456789abcdefghijABCDEFGHIJ456789",
    "pypi-AgEIcHlwaS5vcmcCJDU2YTZlYTk0",
    "sk_live_0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
]


PIECES = st.sampled_from(
    [
        *SECRETS,
        *("password", "PassWd", "PWD", "secret", "api_key", "Access-Key", "signingKey", "Token"),
        *(
            "credentials",
            "ſecret",
            "toKen",
            "basıc ",
            "credentİal",
            "Bearer ",
            "BASIC ",
            "0123456789abcdef==",
            "hunter2!",
        ),
        *("=", ": ", ":", '"', "'", "://", "@", "https", "/", "\n", " ", "İ", "key=1x&", "prose"),
    ]
)


@settings(max_examples=2000, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_passing_over_a_pattern_never_changes_what_is_shown(text: str) -> None:
    tried = text
    for name, _, pattern in _WHOLE_RE:
        tried = pattern.sub(f"[{name}]", tried)
    tried = _USERINFO.sub(r"\1:[password]@", _BEARER.sub(r"\1\2[token]", tried))
    tried = _SAID.sub(r"\1[secret]", _ASSIGNED.sub(r"\1[secret]", tried))
    assert mask(text) == tried


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "export X={} && run", 'said "{}".', "a\n{}\nb", "({})"])
def test_names_a_credential_instead_of_showing_it(secret: str, around: str) -> None:
    shown = mask(around.format(secret))
    assert secret not in shown
    assert "[" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=[secret] next"),
        ("password: hunter22", "password: [secret]"),
        ('{"apiKey": "k-1234567", "n": 1}', '{"apiKey": [secret], "n": 1}'),
        ("AWS_SECRET_ACCESS_KEY=abc/def+ghi", "AWS_SECRET_ACCESS_KEY=[secret]"),
        ("https://x.example/?token=abc123&y=1", "https://x.example/?token=[secret]&y=1"),
        ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer [token]"),
        ("postgres://bob:pw@db.example/app", "postgres://bob:[password]@db.example/app"),
        ("--signing-key=0123456789abcdef", "--signing-key=[secret]"),
    ],
)
def test_keeps_the_words_around_a_credential(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "InvalidTokenException: The security token included in the request is invalid",
        "the secret is out",
        "token: The thing",
        "Deployment <ID> failed",
        "https://console.aws.amazon.com/codepipeline/home#/view/shop/approve",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-Ab12Cd",
        "python -m unittest: exit status 1",
        "8c1f2e9d4b7a6053c8e1f2a9d4b7a6053c8e1f2a Show the delivery date",
    ],
)
def test_leaves_what_is_no_credential(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "secret",
        "eyJ",
        "eyJ-",
        "x://",
        "token ",
        "password=",
        "xoxb-",
        "a:",
        "'",
        'secret="',
    ],
)
def test_takes_no_time_whatever_the_text(piece: str) -> None:
    began = time.process_time()
    mask((piece * 8000)[:8000])
    assert time.process_time() - began < 0.5
