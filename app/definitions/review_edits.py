"""What a reviewer does to one part of a definition: correct it, leave it to a person, split it, join two, accept it.

Each takes the text of a definition and gives the new one; ReviewError says what is wrong, and what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from app.hashes import sha256_of
from mappings.concepts.catalogue import Catalogue
from mappings.near_words import key_names
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml
from trial_defs.definition import expressions as x
from trial_defs.definition.compiler import compile_criterion, compile_trial
from trial_defs.definition.edits import GATE, NotEditable, Part, part_text, parts_of, replaced
from trial_defs.definition.language import CohortWords, CriterionWords, DraftedWords, TrialWords

Content = dict[str, Any]
_Model = TypeVar("_Model", CriterionWords, CohortWords)
_FILE = Path("the criterion")


class ReviewError(ValueError):
    """An edit that was not made. `problems` say where and why; the message is the first of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__(problems[0])
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Working:
    """A definition under review: its text, its parts, and what they compile to."""

    text: str
    words: TrialWords
    trial: x.Trial
    parts: Mapping[str, Part]

    def part(self, name: str) -> Part:
        """ReviewError where there is no such part (any more)."""
        if name not in self.parts:
            raise ReviewError(f"{name} is not in the definition any more; load the page again.")
        return self.parts[name]


def working(text: str, catalogue: Catalogue) -> Working:
    """The definition of this text. ReviewError with everything that is wrong with it."""
    path = Path("the definition")
    raw = text.encode()
    try:
        words = TrialWords.model_validate(read_yaml(raw, path))
        trial = compile_trial(words, catalogue, path, f"sha256:{sha256_of(text)}")
        return Working(text, words, trial, parts_of(text))
    except ValidationError as error:
        raise ReviewError(*map(_line, problems_of(error, path, known=key_names(TrialWords)))) from error
    except DefinitionError as error:
        raise ReviewError(*map(_line, error.problems)) from error
    except NotEditable as error:
        raise ReviewError(str(error)) from error


def _line(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message


# -- one part, by itself


def read_part(name: str, written: str, catalogue: Catalogue) -> list[x.Criterion]:
    """What a reviewer wrote for one part, compiled: a criterion, or several as a list; none for the head of a cohort.

    ReviewError with every problem.
    """
    if name.startswith(GATE):
        content = _mapping(written)
        _validate(CohortWords, content)
        _compiled_gate(content, catalogue)
        return []
    return [compile_one(each, catalogue) for each in _mappings(written)]


def compile_one(content: Content, catalogue: Catalogue) -> x.Criterion:
    """One criterion as it is in a definition, compiled. ReviewError with every problem."""
    words = _validate(CriterionWords, content)
    try:
        return compile_criterion(words, catalogue)
    except DefinitionError as error:
        raise ReviewError(*(_line(each).removeprefix(".") for each in error.problems)) from error


def _compiled_gate(content: Content, catalogue: Catalogue) -> None:
    asked = {"id": "gate", "source": "gate", "text": "gate", "include": content.get("gate")}
    compile_one(asked, catalogue)


def _validate(model: type[_Model], content: Content) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ReviewError(*map(_line, problems_of(error, _FILE, known=key_names(TrialWords)))) from error


def _mapping(written: str) -> Content:
    try:
        return read_yaml(written.encode(), _FILE)
    except DefinitionError as error:
        raise ReviewError(*map(_line, error.problems)) from error


def _mappings(written: str) -> list[Content]:
    """One criterion, or a list of several."""
    if not written.strip():
        raise ReviewError("The criterion is empty. To take one out, join it with the one that says the same.")
    if not written.lstrip().startswith("- "):
        return [_mapping(written)]
    # Under a key, because a definition is a mapping; the place in an error then counts one line more.
    found = _mapping("criteria:\n" + written)["criteria"]
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ReviewError("A list of criteria is written with “- id: …” for each.")
    return found


def content_of(part: Part) -> Content:
    """The part as a mapping. ReviewError where it cannot be read alone."""
    if not part.is_whole:
        raise ReviewError(
            f"{part.id} repeats a piece of another criterion by an alias (*name); change it in the definition’s file."
        )
    return _mapping(part.text)


# -- the edits


def corrected(at: Working, name: str, written: str, catalogue: Catalogue) -> str:
    """The part as the reviewer wrote it."""
    part = at.part(name)
    if not part.is_whole:
        content_of(part)  # says why not
    read_part(name, written, catalogue)
    pieces = [written] if name.startswith(GATE) else _pieces(written)
    return _check(replaced(at.text, part, [_tidy(piece) for piece in pieces]), catalogue)


def _pieces(written: str) -> list[str]:
    """The text of each criterion of a list, or the text of the only one."""
    if not written.lstrip().startswith("- "):
        return [written]
    wrapped = "before:\n" + written
    found = parts_of(wrapped)
    if len(found) != len(_mappings(written)):
        raise ReviewError("Every criterion of the list needs an `id` of its own.")
    return [part.text for part in found.values()]


def _tidy(written: str) -> str:
    lines = [line.rstrip() for line in written.replace("\r\n", "\n").strip("\n").split("\n")]
    indent = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[indent:] for line in lines)


def accepted(at: Working, name: str, catalogue: Catalogue) -> str:
    """The part as it is, its question answered: without `question`."""
    part = at.part(name)
    if name.startswith(GATE):
        _check_asks_the_record(at, name.removeprefix(GATE))
    if not _asks(at, name):
        return at.text
    content = content_of(part)
    return _check(replaced(at.text, part, [_without(part, content, "question")]), catalogue)


def _check_asks_the_record(at: Working, cohort: str) -> None:
    gate = next(each.gate for each in at.trial.cohorts if each.id == cohort)
    if all(isinstance(leaf, x.Judgement | x.Consent) for leaf in x.leaves_of(gate)):
        raise ReviewError("This gate asks nothing of the record and lets every patient in: name the disease first.")


def _asks(at: Working, name: str) -> bool:
    if name.startswith(GATE):
        return at.words.cohorts[name.removeprefix(GATE)].question is not None
    return any(each.id == name and each.question for each in criteria_of(at.words))


def _without(part: Part, content: Content, key: str) -> str:
    """The text of a part without one of its members, every other line kept."""
    node = yaml.compose(part.text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    if node.flow_style:
        return part_text({name: value for name, value in content.items() if name != key})
    lines = part.text.split("\n")
    members = [name for name, _ in node.value]
    at = next(i for i, name in enumerate(members) if name.value == key)
    after = members[at + 1].start_mark.line if at + 1 < len(members) else len(lines)
    kept = [line for line in lines[members[at].start_mark.line : after] if line.startswith("#")]
    return "\n".join([*lines[: members[at].start_mark.line], *kept, *lines[after:]])


def for_a_person(at: Working, name: str, catalogue: Catalogue) -> str:
    """The criterion as a question for a person, with what it asked of the record as evidence beside it."""
    part = at.part(name)
    if name.startswith(GATE):
        raise ReviewError("A gate asks the record: name the disease that opens the cohort.")
    content, criterion = content_of(part), _criterion(at, name)
    side = "include" if "include" in content else "exclude"
    drafted = content.get("drafted") or {}
    said = drafted.get("sentence") or drafted.get("words")
    asks: Content = {"judgement": {"ask": f"Is this so: “{said or content['text']}”?"}}
    if criterion.concepts:
        asks["judgement"]["evidence"] = list(criterion.concepts)
    changed = {key: asks if key == side else value for key, value in content.items() if key not in ("question", "near")}
    return _check(replaced(at.text, part, [_with_comments(part, changed)]), catalogue)


def split(at: Working, name: str, catalogue: Catalogue, say: Callable[[x.Expression], str]) -> str:
    """Each part of a combination as a criterion of its own. `say` puts an expression into words, for its text."""
    part, criterion = at.part(name), None if name.startswith(GATE) else _criterion(at, name)
    asks = criterion.asks if criterion else None
    kind = x.All if criterion and criterion.kind == "inclusion" else x.AnyOf
    if criterion is None or not isinstance(asks, kind) or len(asks.parts) < 2:
        raise ReviewError(
            "Only `all` of an inclusion and `any` of an exclusion can be split; correct it, as a list of “- id: …”."
        )
    content = content_of(part)
    side = "include" if criterion.kind == "inclusion" else "exclude"
    pieces = content[side]["all" if criterion.kind == "inclusion" else "any"]
    taken = set(at.parts) - {name}
    new = []
    for number, (words, expression) in enumerate(zip(pieces, asks.parts, strict=True), 1):
        each = {key: words if key == side else value for key, value in content.items()}
        each |= {"id": _free(f"{name}.{number}", taken), "text": say(expression)}
        new.append(each)
    texts = [part_text(each) for each in new]
    texts[0] = _with_comments(part, new[0])
    return _check(replaced(at.text, part, texts), catalogue)


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    taken.add(found)
    return found


def joined(at: Working, name: str, other: str, verb: str, catalogue: Catalogue) -> str:
    """Two criteria as one: `any` or `all` of what they ask. The first keeps its id, the second goes."""
    if verb not in ("any", "all"):
        raise ReviewError("Criteria are joined as “any” or “all”.")
    if name == other or name.startswith(GATE) or other.startswith(GATE):
        raise ReviewError("Two criteria are joined; choose another one.")
    first, second = at.part(name), at.part(other)
    one, two = content_of(first), content_of(second)
    side = "include" if "include" in one else "exclude"
    if side not in two or first.place != second.place:
        raise ReviewError("Both criteria are in one list, and on one side; these do not.")
    if one.get("only_if") != two.get("only_if"):
        raise ReviewError("The criteria are asked under different conditions (`only_if`); correct one of them first.")
    together = _members(one[side], verb) + _members(two[side], verb)
    between = " or " if verb == "any" else " and "
    both = one | {
        side: {verb: together},
        "text": f"{str(one['text']).rstrip('.;')}{between}{_lower(str(two['text']))}",
    }
    questions = [each["question"] for each in (one, two) if each.get("question")]
    if questions:
        both["question"] = " ".join(dict.fromkeys(questions))
    if "drafted" in one and "drafted" in two:
        both["drafted"] = _drafted_together(one["drafted"], two["drafted"])
    later, earlier = sorted((first, second), key=lambda part: part.first, reverse=True)
    text = replaced(at.text, later, [_joined_text(first, second, both)] if later is first else [])
    text = replaced(text, earlier, [_joined_text(first, second, both)] if earlier is first else [])
    return _check(text, catalogue)


def taken_out(at: Working, name: str, catalogue: Catalogue) -> str:
    """The definition without this criterion, where another one was read from the same words."""
    part = at.part(name)
    if not is_repeated(at, name):
        raise ReviewError(
            "Only a criterion can be taken out of whose words another one of its list was read; this is the only one. "
            "Leave it to a person instead."
        )
    return _check(replaced(at.text, part, []), catalogue)


def is_repeated(at: Working, name: str) -> bool:
    """Whether another criterion of the same list was read from words of this one."""
    criteria = criteria_of(at.words)
    mine = next((each for each in criteria if each.id == name), None)
    beside = [each for each in criteria if each.id != name and at.parts[each.id].place == at.parts[name].place]
    return mine is not None and any(_share_words(mine, each) for each in beside)


def _share_words(one: CriterionWords, other: CriterionWords) -> bool:
    if one.drafted is None or other.drafted is None:
        return False
    (first, last), (begin, end) = span_of(one.drafted), span_of(other.drafted)
    return first < end and begin < last


def span_of(drafted: DraftedWords) -> tuple[int, int]:
    """The characters of the text that a criterion was read from, the last excluded."""
    start, _, end = drafted.span.partition("..")
    return int(start), int(end)


def _joined_text(first: Part, second: Part, both: Content) -> str:
    return _commented([*first.comments, *second.comments], both)


def _members(asks: Content, verb: str) -> list[Any]:
    return list(asks[verb]) if set(asks) == {verb} else [asks]


def _lower(text: str) -> str:
    return text if text[:2].isupper() or len(text) < 2 else text[0].lower() + text[1:]


def _drafted_together(one: Content, two: Content) -> Content:
    first, last = sorted((one, two), key=lambda each: int(str(each["span"]).split("..")[0]))
    start = str(first["span"]).split("..")[0]
    end = max(int(str(each["span"]).split("..")[1]) for each in (one, two))
    return {"span": f"{start}..{end}", "words": f"{first['words']} … {last['words']}"}


# -- parts of the parts


def criteria_of(words: TrialWords) -> list[CriterionWords]:
    """Every criterion of a definition once, in the order of the text."""
    own = (c for cohort in words.cohorts.values() for c in (*cohort.criteria, *cohort.closing))
    return list({each.id: each for each in (*words.before, *own, *words.after)}.values())


def _criterion(at: Working, name: str) -> x.Criterion:
    return next(c for cohort in at.trial.cohorts for c in cohort.criteria if c.id == name)


def _with_comments(part: Part, content: Content) -> str:
    return _commented(part.comments, content)


def _commented(comments: Iterable[str], content: Content) -> str:
    """The content as YAML, these comments below its first line."""
    first, *rest = part_text(content).split("\n")
    return "\n".join([first, *dict.fromkeys(comments), *rest])


def _check(text: str, catalogue: Catalogue) -> str:
    working(text, catalogue)
    return text
