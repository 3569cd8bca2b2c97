"""Whether a text denies what it names: "No history of epilepsy", "Family history of cancer", "Stroke, ruled out".

A denial applies to its own phrase: "Epilepsy, not intractable" is epilepsy, "SLE without nephritis" is lupus. A disease
that is suspected, still to be ruled out, or over is not denied. In doubt a name is not denied, and a person is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from mappings.values.phrases import SEPARATORS, Tokens

# What a scope says of the names in it: not there, another person's, or only looked for, feared or prevented.
_Scope = Literal["absent", "relative", "sought"]


def _phrases(text: str) -> frozenset[Tokens]:
    return frozenset(tuple(phrase.split()) for phrase in text.split("|"))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABSENT = _phrases(
    "no|none of|without|denies|denied|denying|absence of|negative for|free of|lack of|excluding|except|except for"
    "|other than|ruled out|ruled out for|never had|never has had|neither|nor"
    "|kein|keine|keinen|keinem|keiner|keines|ohne|verneint|ausschluss von|ausschluss einer|ausschluss eines|frei von"
    "|pas de|pas d|pas d'antécédent|aucun|aucune|sans|absence d"
    "|sin|niega|ausencia de|ningún|ninguna|descartado|descartada|senza|nessun|nessuna|assenza di|nega"
    "|sem|não|ausência de|nenhum|nenhuma|geen|zonder|ingen|inget|inga|intet|uden|uten|utan|ilman|ei ole|bez"
)
_NOT_DONE = _phrases(
    "refused|refuses|refusal of|declined|declines|contraindication to|contraindication for|contraindications to"
    "|contraindicated|unable to receive"
)
_RELATIVES = _words(
    "mother father sister brother parent parents sibling siblings grandmother grandfather grandparent aunt uncle"
    " cousin daughter son mother's father's sister's brother's daughter's son's relative relatives mutter vater"
    " schwester bruder großmutter großvater mère père soeur sœur frère madre padre hermana hermano sorella fratello"
    " mãe pai irmã irmão moeder vader zus broer mor far søster syster bror"
)
_RELATIVE = _phrases(
    "family history|family hx|fam hx|fhx|fh of|fh :|family member|family members|maternal history|paternal history"
    "|familienanamnese|familiäre vorgeschichte|familiär belastet|antécédents familiaux|antécédent familial"
    "|antecedentes familiares|historia familiar|história familiar|anamnesi familiare|storia familiare|familieanamnese"
    "|familiaire anamnese|familjeanamnes"
) | frozenset((word,) for word in _RELATIVES)
_SOUGHT = _phrases(
    "screening for|screening of|screen for|screening :|screening examination for|risk of|risk for|exposure to"
    "|exposed to|contact with|vaccination against|vaccination for|vaccine against|vaccine for|immunization against"
    "|immunization for|immunisation against|immunisation for|vorsorge für|impfung gegen|kontakt mit|kontakt zu"
    "|risiko für|dépistage de|dépistage du|tamizaje de|cribado de|risque de|riesgo de|rischio di"
)


def _by_first_word(**scopes: frozenset[Tokens]) -> Mapping[str, list[tuple[Tokens, str]]]:
    found: dict[str, list[tuple[Tokens, str]]] = {}
    for scope, phrases in scopes.items():
        for phrase in phrases:
            found.setdefault(phrase[0], []).append((phrase, scope))
    for phrases_of in found.values():
        phrases_of.sort(key=lambda item: -len(item[0]))
    return found


_OPENERS = _by_first_word(absent=_ABSENT, relative=_RELATIVE, sought=_SOUGHT)
_OPENERS_OF_TREATMENTS = _by_first_word(absent=_ABSENT | _NOT_DONE, relative=_RELATIVE)

# Words that end the reach of a denial, and nouns that carry it over the preposition after them: "no history of X"
# denies X, "no complication of X" does not. A disease that recurs, progresses or is gone was there.
_ENDS = _words(
    "with but however although though since because due secondary caused complicating mit aber jedoch wegen mais avec"
    " pero con però ma mas com met maar med men"
)
_PREPOSITIONS = _words(
    "of for to in from after following during on by per at under before post against von für nach bei an auf unter"
    " durch zu de des du d à pour après en por para tras da di do della per dopo van voor na op af til for av til på"
    " efter"
)
_CARRIES = _words(
    "history evidence sign signs symptom symptoms diagnosis suspicion indication indications mention feature features"
    " finding findings episode episodes exposure documentation record case need requirement use treatment therapy"
    " administration course intake receipt presence known absence reports complaint complaints"
    " hinweis hinweise anhalt nachweis anzeichen zeichen vorgeschichte anamnese therapie behandlung gabe bedarf"
    " antécédent antécédents signe signes evidencia antecedentes signos evidenza segni storia evidência sinais"
    " aanwijzing aanwijzingen tekenen voorgeschiedenis tegn holdepunkter hållpunkter"
)
_WAS_THERE = _words(
    "longer more recurrence recurrent relapse residual progression progressive exacerbation flare further worsening"
    " rezidiv progress mehr"
)

# "not" denies only the word right after it: "not on dialysis" denies, "not intractable epilepsy" is epilepsy.
_NOT = _words("not never isn't hasn't doesn't wasn't nicht nie niet nooit ikke ikkje inte icke")
_FILLERS = _words(
    "a an the on in to of have had having has been be any known currently yet receiving undergoing suffering from"
    " diagnosed with history evidence documented ein eine einen einer an unter bekannt bekannte de het een"
)
_NEGATING_PREFIXES = _words("non pre pseudo")

# After the name.
_RULED_OUT = _phrases(
    "ruled out|excluded|not present|not found|not seen|not detected|not identified|not demonstrated|not established"
    "|not evident|ausgeschlossen|nicht vorhanden|nicht nachgewiesen|nicht nachweisbar|exclu|exclue|descartado"
    "|descartada|escluso|esclusa|excluído|excluída|uitgesloten|udelukket|utelukket|uteslutet|utesluten"
)
_NOT_CARRIED_OUT = _phrases(
    "refused|declined|deferred|cancelled|canceled|contraindicated|postponed|not given|not done|not performed"
    "|not administered|not received|not indicated|not needed|not required|abgelehnt|nicht gegeben|nicht verabreicht"
    "|nicht erfolgt|nicht durchgeführt|kontraindiziert"
)
_STILL_OPEN = _words("not cannot can't to nicht kann yet never needs should must pas niet noch ikke inte zu")
_ANSWERS = _words("no none negative absent denied denies nein keine negativ non neg nee nej nei")
_SOUGHT_BEHIND = _words("like screening screen risk vaccination vaccine immunization immunisation exposure vorsorge")
_AUXILIARIES = _words(
    "test tests status result is was are were has have had been be now wurde ist war sind wurden"
    " a été ha sido è stato werd"
)
_HOW = _words("by after on in following per at durch nach mittels")
_TESTS = _words("test tests screen screening result serology")
_POSSESSIVES = _words("the her his their patient's der dem seiner ihrer la su sa son")
_FARTHEST = 4  # words between a name and what is said of it
_LISTED = _words("or nor oder ou o of eller")


def denied_at(tokens: Tokens, starts: frozenset[int], start: int, end: int, *, is_treatment: bool) -> bool:
    """Whether the name at `tokens[start:end]` is denied. `starts` are the places at which names begin."""
    openers = _OPENERS_OF_TREATMENTS if is_treatment else _OPENERS
    return (
        _has_negating_prefix(tokens, start)
        or _follows_not(tokens, start)
        or _is_of_a_negative_test(tokens, start, end)
        or start in _reached(tokens, openers)
        or _is_denied_behind(tokens, starts, end, is_treatment=is_treatment)
    )


def _has_negating_prefix(tokens: Tokens, start: int) -> bool:
    """Whether "non" or its like belongs to the name: "non-epileptic", but not "non-ischemic stroke"."""
    return start > 0 and tokens[start - 1] in _NEGATING_PREFIXES


def _is_of_a_negative_test(tokens: Tokens, start: int, end: int) -> bool:
    """ "Negative pregnancy test"."""
    return start > 0 and tokens[start - 1] in ("negative", "neg") and end < len(tokens) and tokens[end] in _TESTS


def _follows_not(tokens: Tokens, start: int) -> bool:
    place = start - 1
    while place >= 0 and tokens[place] in _FILLERS:
        place -= 1
    return place >= 0 and tokens[place] in _NOT


# In front of the name


def _reached(tokens: Tokens, openers: Mapping[str, list[tuple[Tokens, str]]]) -> frozenset[int]:
    """The places that a denial in front of them reaches."""
    found: set[int] = set()
    scope: str | None = None
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if opened := _opener_at(tokens, place, openers):
            phrase, scope = opened
            place += len(phrase)
            if place < len(tokens) and tokens[place] in ":-–—(":
                place += 1  # "Family history: epilepsy"
            continue
        if token in SEPARATORS:
            scope = scope if scope and token == "," and _goes_on(tokens, place, scope) else None
        elif scope and _ends(tokens, place, scope):
            scope = None
        elif scope:
            found.add(place)
        place += 1
    return frozenset(found)


def _opener_at(
    tokens: Tokens, place: int, openers: Mapping[str, list[tuple[Tokens, str]]]
) -> tuple[Tokens, str] | None:
    for phrase, scope in openers.get(tokens[place], ()):
        behind = place + len(phrase)
        if tokens[place:behind] != phrase:
            continue
        if phrase == ("no",) and behind < len(tokens) and (tokens[behind].isdigit() or tokens[behind] in SEPARATORS):
            continue  # a number: "transplant no. 2"
        if place and tokens[place - 1] in _STILL_OPEN and phrase[0] in ("ruled", "except"):
            continue
        return phrase, scope
    return None


def _ends(tokens: Tokens, place: int, scope: str) -> bool:
    token = tokens[place]
    if scope == "relative":
        return token in ("but", "complicating")
    if token in _ENDS:
        return tokens[place - 1] not in _CARRIES
    if token in _WAS_THERE:
        return True
    return token in _PREPOSITIONS and scope == "absent" and tokens[place - 1] not in _CARRIES


def _goes_on(tokens: Tokens, comma: int, scope: str) -> bool:
    """Whether a comma only lists what else is denied: "denies seizures, headache or stroke"."""
    items = list(_items(tokens, comma))
    first, others = items[0], items[1:]
    joining = _LISTED | {"and", "und", "et", "y", "e", "en", "og", "och"} if scope == "relative" else _LISTED
    if any(len(item) > _FARTHEST + 1 or not _ENDS.isdisjoint(item) for item in others):
        return False
    if any(not joining.isdisjoint(item) for item in others):
        return True
    # "without behavioral disturbance, psychotic disturbance"
    return bool(first) and bool(others) and bool(others[0]) and first[-1] == others[0][-1]


def _items(tokens: Tokens, comma: int) -> Iterator[Tokens]:
    """The words before the comma, then every item of the list after it."""
    start = comma
    while start and tokens[start - 1] not in SEPARATORS:
        start -= 1
    yield tokens[start:comma]
    place = comma + 1
    while place <= len(tokens):
        end = place
        while end < len(tokens) and tokens[end] not in SEPARATORS:
            end += 1
        yield tokens[place:end]
        if end == len(tokens) or tokens[end] != ",":
            return
        place = end + 1


# After the name


def _is_denied_behind(tokens: Tokens, starts: frozenset[int], end: int, *, is_treatment: bool) -> bool:
    rest, behind = _phrase_behind(tokens, starts, end)
    said = _RULED_OUT | _NOT_CARRIED_OUT if is_treatment else _RULED_OUT
    if _says_one_of(rest, said):
        return True
    plain = tuple(word for word in rest if word not in _AUXILIARIES)
    if len(plain) == 1 and plain[0] in _ANSWERS:
        return True
    if _is_of_a_relative(rest) and "complicating" not in tokens[end:]:  # the mother is the patient then
        return True
    if not is_treatment and _is_only_sought(rest):
        return True
    alone = tuple(word for word in behind if word not in _AUXILIARIES)
    return (
        (len(alone) == 1 and alone[0] in _ANSWERS)
        or alone in said
        or any(alone[:length] in said and alone[length] in _HOW for length in (1, 2) if len(alone) > length)
        or alone in _RELATIVE
        or (not is_treatment and alone == ("screening",))
    )


def _phrase_behind(tokens: Tokens, starts: frozenset[int], end: int) -> tuple[Tokens, Tokens]:
    """The rest of the name's own phrase, up to the next name; and the whole phrase after that."""
    place = end
    while place < len(tokens) and place not in starts and tokens[place] not in SEPARATORS:
        if tokens[place] in _ENDS or tokens[place] in ("without", "and", "or"):
            return tokens[end:place], ()
        place += 1
    rest = tokens[end:place]
    if place >= len(tokens) or place in starts:
        return rest, ()
    first = place + 1
    last = first
    while last < len(tokens) and tokens[last] not in SEPARATORS:
        last += 1
    return rest, tokens[first:last]


def _says_one_of(rest: Tokens, phrases: frozenset[Tokens]) -> bool:
    for place in range(min(len(rest), _FARTHEST + 1)):
        for length in (1, 2):
            if rest[place : place + length] in phrases:
                return _STILL_OPEN.isdisjoint(rest[:place])
    return False


def _is_of_a_relative(rest: Tokens) -> bool:
    words = tuple(word for word in rest if word not in _POSSESSIVES)
    if words[:2] == ("family", "history"):
        return True
    return len(words) > 1 and words[0] in ("in", "of", "bei", "de") and words[1] in _RELATIVES | {"family"}


def _is_only_sought(rest: Tokens) -> bool:
    """ "Stroke risk", "Cancer of the colon screening", "stroke-like episode"."""
    if rest[:1] and rest[0] in ("of", "in"):
        rest = rest[3:] if rest[1:2] == ("the",) else rest[2:]
    return bool(rest) and rest[0] in _SOUGHT_BEHIND
