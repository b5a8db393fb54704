"""MiniStack as a server: its application and its settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def application() -> Any:
    """MiniStack's ASGI application."""
    from ministack import app

    return app.app


def settings(port: int, account: str, state: Path) -> dict[str, str]:
    """The environment that MiniStack reads when it is imported."""
    return {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # the root key of a cloud that only listens on loopback
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "false",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
        "LOG_LEVEL": os.environ.get("SANDBOX_LOG_LEVEL", "INFO"),
        "MINISTACK_ACCOUNT_ID": account,
        "S3_DATA_DIR": str(state / "s3"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state),
        "TMPDIR": str(state / "tmp"),
    }
