"""What rollback would do now, for each environment of a stack.

`python -m operations.plan --stack NAME --region REGION` asks the deployed function; nothing is
done. Without a stack it sets up a sandbox, sees a release through to production and asks there
while the next one is in Dev.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.order import OrderError, answered, given
from operations.template import ROOT

REGION = "us-east-1"
PLAN = {"command": "plan"}
LOGS = ROOT / ".cache/plan"
"""Where a sandbox's logs are found when it did not come so far."""


def ask_a_sandbox() -> dict[str, Any]:
    """The answer of a fresh sandbox: one release has proven itself everywhere, another follows."""
    # Here, so that asking a deployed stack needs nothing of the local cloud.
    from sandbox import running
    from sandbox.stories import rollbacks
    from sandbox.stories.world import Audience, Mark, StoryError, World

    class Progress(Audience):
        """What happens in the sandbox, in one line each, beside the answer."""

        def happened(self, where: str, mark: Mark, text: str) -> None:
            sys.stderr.write(f"  {where}: {text}\n")

        def letter(self, letter: Mapping[str, Any]) -> None:
            sys.stderr.write(f"  e-mail: {letter['subject']}\n")

    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            running.sandbox(Path(folder) / "state", port=0) as target,
        ):
            running.build(LOGS / "build.log")
            outputs = running.deploy(target, REGION, LOGS / "deploy.log")
            world = World(target, REGION, outputs, Progress())
            rollbacks.prove(world, "v1", "Open the bakery", "Prod")
            run = world.upload("v2", "Sell sourdough")
            rollbacks.deployed(world, run, "Dev")
            return rollbacks.order(world, **PLAN)
    except (running.SandboxError, StoryError) as err:
        raise OrderError(str(err)) from err


def main(argv: Sequence[str]) -> int:
    """Print the plans."""
    parser = argparse.ArgumentParser(prog="make plan", description=__doc__)
    parser.add_argument("--stack", help="a deployed stack; without it a sandbox is set up")
    parser.add_argument("--region", default=REGION)
    asked = parser.parse_args(argv)
    if asked.stack is None:
        return answered(ask_a_sandbox)
    return answered(lambda: given(asked.stack, asked.region, PLAN))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
