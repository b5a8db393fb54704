"""Everything that rollback has loaded when it is about to look at its first deployment."""

import json
import os

import handler  # type: ignore[import-not-found]  # noqa: F401  # what Lambda loads

from rollback.config import Config
from rollback.wiring import open_desk, parse_settings

SETTINGS = {
    "schema": 1,
    "project": "shop",
    "pipeline": "shop-pipeline-main",
    "application": "shop-main",
    "bucket": "shop-artifacts",
    "region": "us-east-1",
    "function": "arn:aws:lambda:us-east-1:123456789012:function:shop-rollback-main:live",
    "cap": 2,
    "answerHours": 12,
    "stages": {
        "DeployToProd": {
            "environment": "shop-prod-main",
            "mode": "auto",
            "bakeMinutes": 15,
            "alarms": [],
        }
    },
}

config = Config.from_env(os.environ)
open_desk(config, parse_settings(config, json.dumps(SETTINGS)))
os._exit(0)
