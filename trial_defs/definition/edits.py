"""Edits to the text of a definition file: one criterion is written anew, every other line stays, comments included.

A *part* is a criterion, or the head of a cohort (its title, gate and question), in the lines that it takes in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LISTS = ("criteria", "closing")
NOTE = "# Signed "  # begins a comment that belongs to the signature
GATE = "gate:"  # before the name of a cohort: the id of its head


class NotEditable(ValueError):
    """The text cannot be edited line by line; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """The lines `first`..`last` of the file, both included, without the `indent` columns before each.

    `place` names the list in which a criterion stands ("before", "cohorts.sle.criteria"); it is empty for a cohort.
    """

    id: str
    place: str
    first: int
    last: int
    indent: int
    text: str
    is_whole: bool = True  # False: it repeats a piece of another part by an alias (*name), so it cannot be read alone

    @property
    def comments(self) -> list[str]:
        """The comment lines among its own."""
        return [line.strip() for line in self.text.splitlines() if line.lstrip().startswith("#")]


def parts_of(text: str) -> dict[str, Part]:
    """Every criterion by its id, and the head of every cohort by "gate:" and its name, in the order of the file.

    A criterion that stands twice is found in its first place. NotEditable where the text is not such a file.
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise NotEditable("The definition is not readable YAML.") from error
    lines = text.split("\n")
    found: dict[str, Part] = {}
    for place, node in _lists(root):
        for item in node.value:
            name = _scalar(item, "id")
            if name is not None and name not in found:
                found[name] = _part(name, place, item.start_mark, item, lines)
    for name, cohort in _cohorts(root):
        found[GATE + name] = _head(name, cohort, lines)
    return found


def replaced(text: str, part: Part, new: Sequence[str]) -> str:
    """The text with these parts in place of `part`: one, several, or none.

    Each new text is written as `part.text` is: from its first column on.
    """
    lines = text.split("\n")
    start = lines[part.first][: part.indent]
    before = start if start.strip() == "-" or not start.strip() else " " * part.indent
    written: list[str] = []
    for number, each in enumerate(new):
        head = before if number == 0 or not part.place else " " * max(part.indent - 2, 0) + "- "
        written += _indented(each, head, part.indent)
    return "\n".join([*lines[: part.first], *written, *lines[part.last + 1 :]])


def with_version(text: str, version: int) -> str:
    """The text with this version of the definition."""
    for key, value in _members(yaml.compose(text, Loader=_LOADER)):
        if key.value == "version":
            return text[: value.start_mark.index] + str(version) + text[value.end_mark.index :]
    raise NotEditable("The definition has no `version`.")


def without_signature(text: str) -> str:
    """The text without `signed_off`, and without the notes that stand above it."""
    lines = text.split("\n")
    for key, value in _members(yaml.compose(text, Loader=_LOADER)):
        if key.value == "signed_off":
            first = key.start_mark.line
            while first and lines[first - 1].startswith(NOTE):
                first -= 1
            return "\n".join([*lines[:first], *lines[_last_line(value, lines) + 1 :]])
    return text


def with_signature(text: str, by: str, on: str, notes: Sequence[str] = ()) -> str:
    """The text signed off by this person on this day (2026-12-01); `notes` stand above it as comments."""
    bare = without_signature(text)
    lines = bare.split("\n")
    keys = [key for key, _ in _members(yaml.compose(bare, Loader=_LOADER)) if key.value in ("before", "cohorts")]
    if not keys:
        raise NotEditable("The definition has no `cohorts`.")
    at = min(key.start_mark.line for key in keys)
    signature = f"signed_off: {{by: {json.dumps(by, ensure_ascii=False)}, on: {on}}}"
    return "\n".join([*lines[:at], *(f"{NOTE}{note}" for note in notes), signature, *lines[at:]])


def part_text(words: Mapping[str, object]) -> str:
    """A part as YAML, in the form in which the importer writes one."""
    return yaml.safe_dump(dict(words), sort_keys=False, allow_unicode=True, width=110).rstrip("\n")


# -- where things stand


def _lists(root: yaml.Node | None) -> Iterator[tuple[str, yaml.SequenceNode]]:
    """Every list of criteria, with its place."""
    own = dict[str, list[tuple[str, yaml.SequenceNode]]]()
    for name, cohort in _cohorts(root):
        own[name] = [
            (f"cohorts.{name}.{key.value}", value)
            for key, value in _members(cohort)
            if key.value in _LISTS and isinstance(value, yaml.SequenceNode)
        ]
    for key, value in _members(root):
        if key.value in ("before", "after") and isinstance(value, yaml.SequenceNode):
            yield key.value, value
        if key.value == "cohorts":
            for each in own.values():
                yield from each


def _cohorts(root: yaml.Node | None) -> Iterator[tuple[str, yaml.MappingNode]]:
    for key, value in _members(root):
        if key.value == "cohorts":
            for name, cohort in _members(value):
                if isinstance(cohort, yaml.MappingNode):
                    yield str(name.value), cohort


def _members(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value


def _scalar(node: yaml.Node, name: str) -> str | None:
    values = (value for key, value in _members(node) if key.value == name and isinstance(value, yaml.ScalarNode))
    return next((str(value.value) for value in values), None)


def _head(name: str, cohort: yaml.MappingNode, lines: Sequence[str]) -> Part:
    """The members of a cohort that stand before its criteria."""
    members = list(_members(cohort))
    cut = next((at for at, (key, _) in enumerate(members) if key.value in _LISTS), len(members))
    if cut == 0 or any(key.value not in _LISTS for key, _ in members[cut:]):
        raise NotEditable(f"In the cohort {name}, write title, gate and question above its criteria.")
    if cohort.flow_style:
        raise NotEditable(f"Write the cohort {name} over several lines, without {{…}} around it.")
    head = yaml.MappingNode(cohort.tag, members[:cut], cohort.start_mark, cohort.end_mark)
    return _part(GATE + name, "", cohort.start_mark, head, lines)


def _part(name: str, place: str, start: yaml.Mark, node: yaml.Node, lines: Sequence[str]) -> Part:
    first, indent, last = start.line, start.column, _last_line(node, lines)
    rest = lines[first + 1 : last + 1]
    own = [lines[first][indent:], *(line.lstrip() if line[:indent].strip() else line[indent:] for line in rest)]
    is_whole = all(first <= each.start_mark.line <= last for each in _nodes(node))
    return Part(name, place, first, last, indent, "\n".join(own), is_whole)


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from (*_nodes(key), *_nodes(value))
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item)


def _last_line(node: yaml.Node, lines: Sequence[str]) -> int:
    """The line in which the node's own text ends: a block ends for the parser only where the next thing begins."""
    if getattr(node, "flow_style", None) or isinstance(node, yaml.ScalarNode):
        last = int(node.end_mark.line)
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            last -= 1
            while last > node.start_mark.line and not lines[last].strip():
                last -= 1
        return last
    pieces = [piece for pair in node.value for piece in (pair if isinstance(pair, tuple) else (pair,))]
    return max((_last_line(piece, lines) for piece in pieces), default=int(node.start_mark.line))


def _indented(text: str, head: str, indent: int) -> list[str]:
    first, *rest = text.rstrip("\n").split("\n")
    return [head + first, *(" " * indent + line if line.strip() else "" for line in rest)]
