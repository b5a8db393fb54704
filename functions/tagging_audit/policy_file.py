"""The policy file: read, checked whole, every mistake named with its line.

TOML, because people write it. `{ProjectName}`, `{EnvironmentSuffix}`, `{Owner}` and `{CostCenter}`
stand for the template's parameters, `{RequiredTags}` for its list of keys, `{Environment}` for the
environment that a resource belongs to.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from tagging_audit.policy import (
    Exemption,
    Glob,
    Policy,
    TagRule,
    TypeRule,
    is_blank,
    is_system,
    near_miss,
)
from trellis.errors import TrellisError

VERSION = 1
DEFAULT_REQUIRED = ("Project", "Owner", "CostCenter")
"""What stands for {RequiredTags} where no template gives it."""

_LONGEST_KEY = 128
_LONGEST_VALUE = 256
_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)\}")
_TIER = "{Environment}"
_LIST = "{RequiredTags}"
_PARAMETERS = ("ProjectName", "EnvironmentSuffix", "Owner", "CostCenter")

type _Path = tuple[str | int, ...]


class PolicyError(TrellisError):
    """When the policy file cannot be used; `problems` has one sentence for each mistake."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def parse(
    text: str,
    parameters: Mapping[str, str],
    services: tuple[str, ...],
    name: str = "policy.toml",
) -> Policy:
    """The policy that a file describes.

    `parameters` are the template's, by their names there; `services` are those whose resources can
    be listed. Raises PolicyError, which names every mistake.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise PolicyError((f"{name}: {err}",)) from err
    reader = _Reader(text, parameters, services, name)
    policy = reader.policy(document)
    if reader.problems:
        raise PolicyError(tuple(reader.problems))
    return policy


def expired(policy: Policy, now: datetime) -> tuple[str, ...]:
    """A sentence for each exemption that holds no longer."""
    return tuple(
        f"{policy.name} line {one.line}: the exemption of {one.owner} ({one.reason}) expired on "
        f"{one.expires.isoformat()}: take it out, or renew it with a later date"
        for one in policy.exemptions
        if one.has_expired(now)
    )


class _Reader:
    """One pass over a document, which goes on after a mistake to find the others."""

    def __init__(
        self, text: str, parameters: Mapping[str, str], services: tuple[str, ...], name: str
    ) -> None:
        self._lines = _lines_of(text)
        self._parameters = {key: value for key, value in parameters.items() if value}
        self._services = services
        self._name = name
        self.problems: list[str] = []

    def policy(self, document: dict[str, Any]) -> Policy:
        known = (
            "version",
            "required",
            "stack-required",
            "services",
            "services-when-seen",
            "tag",
            "type",
            "exemption",
        )
        self._known(document, (), known)
        if document.get("version") != VERSION:
            self._wrong(("version",), f"version must be {VERSION}, it is {document.get('version')}")
        if "required" not in document:
            self._wrong((), f'required is missing: write required = ["{_LIST}"] or your own keys')
        return Policy(
            required=self._keys(document, ("required",)),
            stack_required=self._keys(document, ("stack-required",)),
            tags=self._tags(document.get("tag", {})),
            types=tuple(
                self._type(one, ("type", number)) for number, one in self._tables(document, "type")
            ),
            exemptions=tuple(
                self._exemption(one, ("exemption", number))
                for number, one in self._tables(document, "exemption")
            ),
            services=self._wanted_services(document, "services"),
            services_when_seen=self._wanted_services(document, "services-when-seen"),
            name=self._name,
        )

    # The parts of the file.

    def _tags(self, tables: Any) -> dict[str, TagRule]:
        if not isinstance(tables, dict):
            self._wrong(("tag",), "tag is not a table: write [tag.Owner] and its lines below")
            return {}
        return {key: self._tag(key, table, ("tag", key)) for key, table in tables.items()}

    def _tag(self, key: str, table: Any, path: _Path) -> TagRule:
        self._check_key(key, path)
        if not self._known(table, path, ("values", "pattern", "stack-value")):
            return TagRule(key)
        values = self._texts(table, (*path, "values"), plain=True)
        for value in values:
            if is_blank(value) or len(value) > _LONGEST_VALUE:
                self._wrong(
                    (*path, "values"),
                    f"{value!r} is no tag value: 1 to {_LONGEST_VALUE} visible characters",
                )
        if values and "pattern" in table:
            self._wrong((*path, "pattern"), f"[tag.{key}] has values and a pattern: keep one")
        given = self._text(table, (*path, "stack-value"))
        return TagRule(
            key,
            values=values,
            pattern=self._pattern(table, (*path, "pattern")),
            stack_value=self._stack_value(given),
            is_tier=given == _TIER,
        )

    def _type(self, table: dict[str, Any], path: _Path) -> TypeRule:
        self._known(table, path, ("types", "required", "optional"))
        types = self._globs(table, (*path, "types"))
        if not types:
            self._wrong(path, 'a [[type]] needs types, like types = ["AWS::Lambda::*"]')
        if "required" not in table and "optional" not in table:
            self._wrong(path, "a [[type]] needs required or optional: it changes nothing")
        return TypeRule(
            types,
            required=self._keys(table, (*path, "required")) if "required" in table else None,
            optional=frozenset(self._keys(table, (*path, "optional"))),
        )

    def _exemption(self, table: dict[str, Any], path: _Path) -> Exemption:
        known = ("resources", "types", "tags", "owner", "reason", "expires")
        self._known(table, path, known)
        for name, mend in (
            ("owner", 'who answers for it, like owner = "team-data"'),
            ("reason", 'why, in a sentence, like reason = "is replaced in May"'),
            ("expires", "its last day, like expires = 2027-03-31"),
        ):
            if name not in table:
                self._wrong(path, f"an [[exemption]] needs {name}: {mend}")
        if "resources" not in table and "types" not in table:
            self._wrong(path, "an [[exemption]] needs resources or types: this one is for all")
        expires = table.get("expires", date.max)
        if isinstance(expires, datetime) or not isinstance(expires, date):
            self._wrong(
                (*path, "expires"),
                f"expires is {expires!r}: write a date without quotes, like 2027-03-31",
            )
            expires = date.max
        return Exemption(
            owner=self._filled(self._text(table, (*path, "owner")) or ""),
            reason=self._filled(self._text(table, (*path, "reason")) or ""),
            # The last day that can be reckoned with.
            expires=min(expires, date(9999, 12, 30)),
            resources=self._globs(table, (*path, "resources")),
            types=self._globs(table, (*path, "types")),
            tags=frozenset(self._keys(table, (*path, "tags"))),
            line=self._lines.get(path, 0),
        )

    def _wanted_services(self, document: dict[str, Any], name: str) -> tuple[str, ...]:
        wanted = self._texts(document, (name,), plain=True)
        for one in wanted:
            if one not in self._services:
                self._wrong(
                    (name,),
                    f"{one!r} is no service whose resources can be listed: these are "
                    f"{', '.join(self._services)}",
                )
        return wanted

    # The kinds of values.

    def _keys(self, table: Mapping[str, Any], path: _Path) -> tuple[str, ...]:
        keys: list[str] = []
        for text in self._texts(table, path, plain=False):
            if text == _LIST:
                keys += self._required_tags(path)
            else:
                keys.append(text)
        for key in keys:
            self._check_key(key, path)
        return tuple(dict.fromkeys(keys))

    def _required_tags(self, path: _Path) -> list[str]:
        given = self._parameters.get("RequiredTags")
        if given is None:
            return list(DEFAULT_REQUIRED)
        return [key.strip() for key in given.split(",") if key.strip()]

    def _check_key(self, key: str, path: _Path) -> None:
        if is_system(key):
            self._wrong(path, f"the key {key!r} is AWS's own: nobody can set it")
        elif is_blank(key) or key != key.strip() or len(key) > _LONGEST_KEY:
            self._wrong(path, f"{key!r} is no tag key: 1 to {_LONGEST_KEY} characters, trimmed")
        elif _PLACEHOLDER.fullmatch(key):
            self._wrong(path, f"{key!r} is no key: only {_LIST} stands for keys")

    def _pattern(self, table: Mapping[str, Any], path: _Path) -> re.Pattern[str] | None:
        text = self._text(table, path)
        if text is None:
            return None
        try:
            return re.compile(text)
        except re.error as err:
            self._wrong(path, f"pattern {text!r} is no regular expression: {err}")
            return None

    def _globs(self, table: Mapping[str, Any], path: _Path) -> tuple[Glob, ...]:
        return tuple(Glob(self._filled(text)) for text in self._texts(table, path, plain=False))

    def _texts(self, table: Mapping[str, Any], path: _Path, *, plain: bool) -> tuple[str, ...]:
        found = table.get(str(path[-1]), [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self._wrong(path, f"{path[-1]} is {found!r}: write a list of texts in quotes")
            return ()
        for text in found:
            if plain and _PLACEHOLDER.search(text):
                self._wrong(path, f"{text!r}: parameters can stand in stack-value only")
            elif not plain:
                self._check_placeholders(text, path)
        return tuple(found)

    def _text(self, table: Mapping[str, Any], path: _Path) -> str | None:
        found = table.get(str(path[-1]))
        if found is None:
            return None
        if not isinstance(found, str) or is_blank(found):
            self._wrong(path, f"{path[-1]} is {found!r}: write a text in quotes")
            return None
        if path[-1] != "pattern":
            self._check_placeholders(found, path)
        return found

    def _check_placeholders(self, text: str, path: _Path) -> None:
        allowed = {*_PARAMETERS}
        allowed |= {_TIER[1:-1]} if path[-1] == "stack-value" else set()
        allowed |= {_LIST[1:-1]} if path[-1] in ("required", "stack-required") else set()
        for name in _PLACEHOLDER.findall(text):
            if name not in allowed:
                self._wrong(
                    path,
                    f"{{{name}}} stands for nothing here: these do: "
                    + ", ".join(f"{{{one}}}" for one in sorted(allowed)),
                )

    def _filled(self, text: str) -> str:
        """The text with the parameters that are known; the others stay as they are written."""
        return _PLACEHOLDER.sub(lambda found: self._parameters.get(found[1], found[0]), text)

    def _stack_value(self, text: str | None) -> str | None:
        """The value, or None where the stack that would give it is not known."""
        if text is None or text == _TIER:
            return None
        value = self._filled(text)
        return None if _PLACEHOLDER.search(value) else value

    def _tables(self, document: Mapping[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
        found = document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self._wrong((name,), f"{name} is no list of tables: write [[{name}]]")
            return []
        return list(enumerate(found))

    def _known(self, table: Any, path: _Path, known: tuple[str, ...]) -> bool:
        if not isinstance(table, dict):
            self._wrong(path, f"{path[-1]!r} is {table!r}: write a table")
            return False
        for key in table:
            if key not in known:
                near = near_miss(key, dict.fromkeys(known, ""))
                mend = f"did you mean {near}?" if near else f"known are {', '.join(known)}"
                self._wrong((*path, key), f"unknown key {key!r}: {mend}")
        return True

    def _wrong(self, path: _Path, text: str) -> None:
        line = next(
            (
                self._lines[path[:end]]
                for end in range(len(path), 0, -1)
                if path[:end] in self._lines
            ),
            1,
        )
        problem = f"{self._name} line {line}: {text}"
        if problem not in self.problems:
            self.problems.append(problem)


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_ASSIGNED = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*=""")


def _lines_of(text: str) -> dict[_Path, int]:
    """Where each table and each key of a well-formed file stands: the path, and its line.

    tomllib tells no positions. Tables are written in one of two ways here, `[tag.Owner]` and
    `[[exemption]]`, and keys begin their line.
    """
    lines: dict[_Path, int] = {}
    counts: dict[str, int] = {}
    table: _Path = ()
    quoted = ""
    for number, line in enumerate(text.splitlines(), 1):
        if quoted:
            quoted = "" if quoted in line else quoted
            continue
        if header := _HEADER.match(line):
            brackets, name = header.groups()
            if brackets == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (name, counts[name])
            else:
                table = tuple(part.strip(" \"'") for part in name.split(".", 1))
            lines.setdefault(table, number)
        elif assigned := _ASSIGNED.match(line):
            lines.setdefault((*table, assigned[1].strip("\"'")), number)
            for quotes in ('"""', "'''"):
                if line.count(quotes) % 2:
                    quoted = quotes
    return lines
