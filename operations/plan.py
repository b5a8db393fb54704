"""What rollback would do now, for each environment of a stack.

`python -m operations.plan --stack NAME --region REGION` asks the deployed function, by its alias;
nothing is done. Without a stack it sets up a sandbox, sees a release through it and asks there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations.stack import NoSuchStackError, outputs_of, unanswered

REGION = "us-east-1"


def plans_of(client: Any, function: str) -> list[dict[str, Any]]:
    """The plan of every environment. Raises SystemExit where the function does not answer."""
    answer = client.invoke(FunctionName=function, Payload=json.dumps({"command": "plan"}).encode())
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" in answer or "plans" not in payload:
        raise SystemExit(f"the function does not say what it would do: {payload}")
    plans: list[dict[str, Any]] = payload["plans"]
    return plans


def table(plans: Sequence[Mapping[str, Any]]) -> str:
    """The plans as a person reads them."""
    lines = []
    for one in plans:
        lines.append(f"{one['environment']} ({one['mode']}): if it turned bad now, {one['action']}")
        for name, value in (
            ("why", one["reason"]),
            ("running", f"{one['running'] or 'nothing of ours'}, {one['health']}"),
            ("known good", one["known_good"]),
            ("quarantined", ", ".join(one["quarantined"])),
            ("route", one["route"]),
            ("frozen", "yes" if one["is_frozen"] else None),
            ("held", one["held"]),
        ):
            if value:
                lines.append(f"  {name:<12} {value}")
    return "\n".join(lines)


def ask_a_stack(stack: str, region: str) -> list[dict[str, Any]]:
    """The plans of a deployed stack, where the environment's credentials and endpoint lead.

    Raises NoSuchStackError where there is no such stack, or it has no rollback.
    """
    make: Any = boto3.session.Session(region_name=region).client
    outputs = outputs_of(make("cloudformation"), stack)
    if "RollbackFunctionAliasArn" not in outputs:
        raise NoSuchStackError(
            f"the stack {stack} has no output RollbackFunctionAliasArn: is it Trellis's?"
        )
    return plans_of(make("lambda"), outputs["RollbackFunctionAliasArn"])


def ask_a_sandbox() -> list[dict[str, Any]]:
    """The plans of a fresh sandbox in which one release has proven itself in Dev."""
    # Here, so that asking a deployed stack needs nothing of the local cloud.
    from sandbox import running
    from sandbox.stories import rollbacks
    from sandbox.stories.world import Audience, Mark, World

    class Progress(Audience):
        """What happens in the sandbox, in one line each, beside the answer."""

        def happened(self, where: str, mark: Mark, text: str) -> None:
            sys.stderr.write(f"  {where}: {text}\n")

        def letter(self, letter: Mapping[str, Any]) -> None:
            sys.stderr.write(f"  e-mail: {letter['subject']}\n")

    with (
        tempfile.TemporaryDirectory() as folder,
        running.sandbox(Path(folder) / "state", port=0) as target,
    ):
        running.build(Path(folder) / "build.log")
        outputs = running.deploy(target, REGION, Path(folder) / "deploy.log")
        world = World(target, REGION, outputs, Progress())
        rollbacks.prove(world, "v1", "Open the bakery")
        return plans_of(world.client("lambda"), outputs["RollbackFunctionAliasArn"])


def main(argv: Sequence[str]) -> int:
    """Print the plans."""
    parser = argparse.ArgumentParser(prog="make plan", description=__doc__)
    parser.add_argument("--stack", help="a deployed stack; without it a sandbox is set up")
    parser.add_argument("--region", default=REGION)
    given = parser.parse_args(argv)
    if given.stack is None:
        plans = ask_a_sandbox()
    else:
        try:
            plans = ask_a_stack(given.stack, given.region)
        except NoSuchStackError as err:
            sys.stderr.write(f"{err}\n")
            return 2
        except (BotoCoreError, ClientError) as err:
            sys.stderr.write(f"{unanswered(err)}\n")
            return 1
    sys.stdout.write(f"{table(plans)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
