"""What the usual notifier does when it is cold: boto3, three clients, one HTTPS post.

The clients are made at import and the post is urllib's, as in terraform-aws-notify-slack; they are
those of services that a notifier of releases needs, which cost less than that module's own (kms,
securityhub). The message is one line of JSON.
"""

import json
import os
import urllib.request
from typing import Any

import boto3

sns = boto3.client("sns")
codepipeline = boto3.client("codepipeline")
secretsmanager = boto3.client("secretsmanager")


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Post what happened; answers the status of the post."""
    detail = event["detail"]
    text = f"{detail.get('pipeline')} {detail.get('state')}"
    request = urllib.request.Request(  # noqa: S310  # loopback
        os.environ["HOOK_URL"],
        json.dumps({"text": text}).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # loopback
        return {"status": answer.status}
