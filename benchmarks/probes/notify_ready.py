"""Everything that notify has loaded when it is about to tell its first message."""

import os

import handler  # type: ignore[import-not-found]  # noqa: F401  # what Lambda loads

import notify.workflow  # noqa: F401  # as the handler does for what is told
from notify.config import Config
from notify.wiring import open_office

open_office(Config.from_env(os.environ), None)
os._exit(0)
