"""The timeline that a demo prints: what happened, where, when, and what the e-mails say."""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from sandbox.stories.world import Mark

SIGNS = {Mark.DONE: "✓", Mark.FAILED: "✗", Mark.WAITING: "…", Mark.SERVES: "→"}
COLOURS = {Mark.DONE: "32", Mark.FAILED: "31", Mark.WAITING: "33", Mark.SERVES: "36"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
WIDTH = 100


@dataclass
class Timeline:
    """Prints one line an event; safe to use from a thread per Region.

    On a terminal a last line moves while something is awaited. Elsewhere, and with NO_COLOR,
    the text is plain, so that it can be kept or compared.
    """

    output: TextIO = field(default_factory=lambda: sys.stdout)
    colours: bool = False
    moving: bool = False
    record: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _awaited: str = ""
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.moving:
            threading.Thread(target=self._spin, daemon=True).start()

    def title(self, text: str) -> None:
        """The first line."""
        self._line(self._style("1", text))
        self._line()

    def happened(self, region: str, where: str, mark: Mark, text: str) -> None:
        """One event. `region` is empty for what happens outside the cloud."""
        sign = self._style(COLOURS[mark], SIGNS[mark])
        first, *more = textwrap.wrap(text, WIDTH - 41) or [""]
        self._line(f"{self._now()}  {region:<10} {where:<20} {sign} {first}")
        for line in more:
            self._line(f"{'':<40} {line}")

    def letter(self, region: str, letter: Mapping[str, Any]) -> None:
        """An e-mail, as its reader sees it."""
        with self._lock:
            self._line(f"{self._now()}  {region:<10} e-mail to {letter['to']}")
            rule = "─" * (WIDTH - 20)
            self._line(f"{'':<18}┌{rule}")
            self._line(f"{'':<18}│ {self._style('1', str(letter['subject']))}")
            self._line(f"{'':<18}│")
            body = str(letter["body"]).split("\n--\n")[0].rstrip()
            for line in body.splitlines():
                for piece in textwrap.wrap(
                    line, WIDTH - 21, break_long_words=False, break_on_hyphens=False
                ) or [""]:
                    self._line(f"{'':<18}│ {piece}")
            self._line(f"{'':<18}└{rule}")

    def subject(self, region: str, letter: Mapping[str, Any]) -> None:
        """An e-mail in one line."""
        first, *more = textwrap.wrap(str(letter["subject"]), WIDTH - 41) or [""]
        self._line(f"{self._now()}  {region:<10} {'e-mail':<20} ✉ {first}")
        for line in more:
            self._line(f"{'':<40} {line}")

    def awaits(self, text: str) -> None:
        """What goes on in the meantime; shown on a terminal only."""
        with self._lock:
            self._awaited = text

    def closing(self, lines: list[str]) -> None:
        """The last lines."""
        self._ended.set()
        self._line()
        for line in lines:
            self._line(line)

    def _now(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return self._style("2", f"{seconds // 60:>2}:{seconds % 60:02}")

    def _style(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def _line(self, text: str = "") -> None:
        with self._lock:
            if self.moving:
                self.output.write("\r\x1b[K")
            self.record.append(text)
            self.output.write(f"{text}\n")
            self.output.flush()

    def _spin(self) -> None:
        turn = 0
        while not self._ended.wait(0.1):
            with self._lock:
                if self._awaited:
                    turn += 1
                    shown = f"{self._now()}  {SPINNER[turn % len(SPINNER)]} {self._awaited}"
                    self.output.write(f"\r\x1b[K{shown}")
                    self.output.flush()
        self.output.write("\r\x1b[K")
