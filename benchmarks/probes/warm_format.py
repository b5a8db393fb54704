"""Warm formatting: `warm_format.py <folder of events>`; one JSON object, microseconds of CPU.

For each event and channel what it takes from the event as it arrived to the text of one channel:
recognised, composed, rendered. The best of five loops in each of four passes over all of
them: a busy machine only ever adds, and may be busy for seconds.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from notify.channels import email, pagerduty, slack, teams, webhook
from notify.compose import compose
from notify.errors import NotForUsError
from notify.parcel import parcels_in
from notify.recognise import recognise

PASSES, LOOPS, TURNS = 4, 5, 10
CHANNELS: dict[str, Callable[[Any], object]] = {
    "email": email.render,
    "slack": slack.render,
    "teams": teams.render,
    "pagerduty": pagerduty.render,
    "webhook": webhook.render,
}


def best(work: Callable[[], object]) -> float:
    """Microseconds of one turn in the best loop."""
    loops = []
    for _ in range(LOOPS):
        begun = time.process_time()
        for _ in range(TURNS):
            work()
        loops.append((time.process_time() - begun) / TURNS * 1e6)
    return min(loops)


def formats(event: object) -> dict[str, float]:
    """What an event costs in each channel; nothing for one that nobody is told of."""
    parcel = parcels_in(event)[0]
    try:
        recognise(parcel.content, parcel.subject)
    except NotForUsError:
        return {}

    def turn(render: Callable[[Any], object]) -> object:
        return render(compose(recognise(parcel.content, parcel.subject)))

    return {name: best(partial(turn, render)) for name, render in CHANNELS.items()}


found: dict[str, dict[str, float]] = {}
for path in sorted(Path(sys.argv[1]).glob("*.json")) * PASSES:
    costs = formats(json.loads(path.read_text()))
    before = found.get(path.stem, costs)
    if costs:
        found[path.stem] = {name: min(cost, before[name]) for name, cost in costs.items()}
sys.stdout.write(json.dumps(found) + "\n")
sys.stdout.flush()
os._exit(0)
