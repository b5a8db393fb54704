"""`make demo`: set up a sandbox, deploy Trellis into it, and play a story.

Run as `python -m sandbox.demo`. Leaves a folder with the inbox as a page, the timeline, every log
and what was deployed.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib
import json
import os
import pkgutil
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from sandbox import assumptions, running, stories
from sandbox.assumptions import AssumptionError
from sandbox.running import PROJECT, Sandbox, SandboxError
from sandbox.stories.world import Audience, Mark, StoryError, World
from sandbox.timeline import Timeline

REGIONS = ("us-east-1", "us-west-2")
SCAFFOLDING = ("rollbacks", "world")
"""Modules of the stories' package that are no stories."""


@dataclass(frozen=True, slots=True)
class Told(Audience):
    """Passes on what happens in one Region; only the first Region's e-mails are shown whole."""

    timeline: Timeline
    region: str
    whole_letters: bool

    def happened(self, where: str, mark: Mark, text: str) -> None:
        self.timeline.happened(self.region, where, mark, text)

    def letter(self, letter: Mapping[str, Any]) -> None:
        if self.whole_letters:
            self.timeline.letter(self.region, letter)
        else:
            self.timeline.subject(self.region, letter)


def known_stories() -> dict[str, str]:
    """Every story's name, with the first line of what it is about."""
    found = {}
    for module in pkgutil.iter_modules(stories.__path__):
        if module.name not in SCAFFOLDING:
            text = importlib.import_module(f"sandbox.stories.{module.name}").__doc__ or ""
            found[module.name.replace("_", "-")] = text.strip().splitlines()[0]
    return found


def story(name: str) -> ModuleType:
    """The module of a story; raises SandboxError, naming those there are."""
    if name not in known_stories():
        raise SandboxError(
            f"there is no story {name!r}; STORY=list lists them: {', '.join(known_stories())}"
        )
    return importlib.import_module(f"sandbox.stories.{name.replace('-', '_')}")


@contextmanager
def own_folder(base: Path) -> Iterator[Path]:
    """`.demo`, or `.demo-2` and so on while another demo is running in this checkout."""
    for number in range(1, 10):
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        locks = PROJECT / ".cache"
        locks.mkdir(exist_ok=True)
        with (locks / f"{folder.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            yield folder
            return
    raise SandboxError("nine demos are running in this checkout already")


def set_up(
    timeline: Timeline, folder: Path, target: Sandbox, regions: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Deploy the template into every Region at once; returns the outputs by Region."""

    def deploy(region: str) -> dict[str, str]:
        outputs = running.deploy(target, region, folder / "logs" / f"sam-deploy-{region}.log")
        timeline.happened(
            region, "sam deploy", Mark.DONE, f"stack {running.stack_name(f'sandbox-{region}')}"
        )
        kept = folder / "deployed" / f"outputs-{region}.json"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(outputs, indent=2))
        return outputs

    timeline.awaits(f"sam deploy to {' and '.join(regions)}: three environments launch in each")
    with ThreadPoolExecutor(len(regions)) as pool:
        return dict(zip(regions, pool.map(deploy, regions), strict=True))


def play(
    timeline: Timeline,
    target: Sandbox,
    outputs: Mapping[str, Mapping[str, str]],
    chosen: ModuleType,
) -> list[str]:
    """Play the story in every Region side by side; returns what went wrong, by Region."""
    first = next(iter(outputs))

    def play_in(region: str) -> str | None:
        world = World(target, region, outputs[region], Told(timeline, region, region == first))
        try:
            chosen.play(world)
        except StoryError as error:
            timeline.happened(region, "story", Mark.FAILED, str(error))
            return f"{region}: {error}"
        return None

    timeline.awaits("the pipeline runs; the whole log is in the folder named below")
    with ThreadPoolExecutor(len(outputs)) as pool:
        return [wrong for wrong in pool.map(play_in, outputs) if wrong]


def write_inbox(folder: Path, letters: Sequence[Mapping[str, Any]], about: str) -> Path:
    """The inbox as one self-contained page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True
    )
    shown = [
        {
            **letter,
            "time": datetime.fromisoformat(letter["time"]).strftime("%H:%M:%S"),
            "open": index == len(letters) - 1,
        }
        for index, letter in enumerate(letters)
    ]
    page = folder / "inbox.html"
    page.write_text(environment.get_template("inbox.html.j2").render(letters=shown, story=about))
    return page


def keep(folder: Path, timeline: Timeline, target: Sandbox, about: str) -> None:
    """Leave behind what a person may want to look at afterwards."""
    write_inbox(folder, target.inbox(), about)
    (folder / "timeline.txt").write_text("\n".join(timeline.record) + "\n")
    template = PROJECT / ".aws-sam/build/template.yaml"
    if template.exists():
        shutil.copy(template, folder / "deployed" / "template.yaml")


def run(
    name: str,
    regions: Sequence[str],
    assumed: Mapping[str, str],
    stay: bool,
    timeline: Timeline,
) -> int:
    """Everything from an empty folder to the last line; returns the exit status."""
    chosen = story(name)
    began = time.monotonic()
    about = known_stories()[name]
    with own_folder(PROJECT / ".demo") as folder:
        shown = folder.relative_to(PROJECT)
        timeline.title(f"Trellis, story “{name}”: {about}")
        timeline.awaits("sam build")
        running.build(folder / "logs" / "sam-build.log")
        timeline.happened("", "sam build", Mark.DONE, built_sizes())
        timeline.awaits("the sandbox starts")
        with running.sandbox(folder / "sandbox", assumptions=assumed) as target:
            timeline.happened("", "sandbox", Mark.DONE, f"answers at {target.endpoint}")
            outputs = set_up(timeline, folder, target, regions)
            wrong = play(timeline, target, outputs, chosen)
            keep(folder, timeline, target, about)
            seconds = time.monotonic() - began
            timeline.closing(
                [
                    *(served(target, region, outputs[region]) for region in regions),
                    "",
                    f"{'played' if not wrong else 'FAILED'} in {seconds:.0f} s. "
                    f"The inbox: {shown}/inbox.html; logs and what was deployed: {shown}/",
                    *wrong,
                ]
            )
            (folder / "timeline.txt").write_text("\n".join(timeline.record) + "\n")
            if stay:
                how_to(target)
                threading.Event().wait()
        return 1 if wrong else 0


def served(target: Sandbox, region: str, outputs: Mapping[str, str]) -> str:
    """One line: which version each environment of a Region serves."""
    world = World(target, region, outputs, Told(Timeline(), region, False))
    versions = []
    for environment in ("Dev", "Test", "Prod"):
        try:
            versions.append(f"{environment} {world.served(environment)}")
        except (OSError, ValueError, KeyError):
            versions.append(f"{environment} nothing of ours")
    return f"{region} serves: " + ", ".join(versions)


def built_sizes() -> str:
    """The sizes of what SAM built, before it is zipped."""
    built = PROJECT / ".aws-sam/build"
    sizes = []
    for part in sorted(path for path in built.iterdir() if path.is_dir()):
        total = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
        sizes.append(f"{part.name} {total / 1024:.0f} KiB")
    return ", ".join(sizes)


def how_to(target: Sandbox) -> None:
    """Print how to point other tools at a sandbox that stays."""
    write = sys.stdout.write
    write("\nIt stays up until you press Ctrl-C. In another shell:\n\n")
    for name, value in target.environment.items():
        write(f"  export {name}={value}\n")
    write(f'  export PATH="{PROJECT}/.venv/dev/bin:$PATH"   # sam, and a Python that has boto3\n')
    write("\n  aws codepipeline list-pipelines --region us-east-1\n")
    write("  sam deploy --config-env sandbox-us-east-1\n")
    write('  python -c \'import boto3; print(boto3.client("sts", "us-east-1").'
          "get_caller_identity())'\n")  # fmt: skip
    write(f"\nE-mails are files in {target.state / 'inbox'}; plain HTTP, which every TLS-only\n")
    write(f"policy refuses, is {target.plain_endpoint}.\n")
    sys.stdout.flush()


def main(argv: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--story", default="release", help="its name, or list")
    parser.add_argument("--region", default="", help="one Region instead of both")
    parser.add_argument("--keep", action="store_true", help="stay up afterwards")
    parser.add_argument("--only-sandbox", action="store_true", help="no deployment, no story")
    parser.add_argument("--assume", default="", help="switches, as `name=value name=value`")
    given = parser.parse_args(argv)
    if given.story == "list":
        for name, about in known_stories().items():
            sys.stdout.write(f"  {name:<24} {about}\n")
        return 0
    terminal = sys.stdout.isatty()
    timeline = Timeline(colours=terminal and not os.environ.get("NO_COLOR"), moving=terminal)
    try:
        if given.region and given.region not in REGIONS:
            raise SandboxError(f"REGION={given.region}: it is one of {', '.join(REGIONS)}")
        assumed = assumptions.parse(given.assume.split())
        if given.only_sandbox:
            with running.sandbox(PROJECT / ".sandbox", assumptions=assumed) as target:
                how_to(target)
                threading.Event().wait()
        regions = (given.region,) if given.region else REGIONS
        return run(given.story, regions, assumed, given.keep, timeline)
    except (SandboxError, AssumptionError) as error:
        timeline.closing([])
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        timeline.closing([])
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
