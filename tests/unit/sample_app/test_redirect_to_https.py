"""The hook that sends plain HTTP on to HTTPS, where the environment serves it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from operations.template import ROOT

HOOK = ROOT / "sample_app/.platform/hooks/predeploy/10_redirect_to_https.sh"
WRITTEN = "nginx/conf.d/elasticbeanstalk/00_redirect_to_https.conf"


def run_where(transport: str | None, folder: Path) -> Path:
    """Run the hook on an instance whose environment has a value of TRANSPORT, or none."""
    get_config = folder / "get-config"
    answer = f"echo -n {transport}" if transport is not None else "exit 1"
    get_config.write_text(
        f'#!/bin/bash\n[ "$*" = "environment -k TRANSPORT" ] || exit 2\n{answer}\n',
        encoding="utf-8",
    )
    get_config.chmod(0o755)
    subprocess.run(
        ["bash", str(HOOK)],
        check=True,
        env={
            "PATH": "/usr/bin:/bin",
            "GET_CONFIG": str(get_config),
            "PROXY_STAGING": str(folder / "staging"),
        },
    )
    return folder / "staging" / WRITTEN


def test_https_redirects_what_came_by_http(tmp_path: Path) -> None:
    assert run_where("https", tmp_path).read_text(encoding="utf-8") == (
        'if ($http_x_forwarded_proto = "http") {\n  return 301 https://$host$request_uri;\n}\n'
    )


@pytest.mark.parametrize("transport", ["http", "", None])
def test_without_https_nothing_is_redirected(transport: str | None, tmp_path: Path) -> None:
    before = run_where("https", tmp_path)
    assert before.exists()
    assert not run_where(transport, tmp_path).exists()
