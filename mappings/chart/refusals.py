"""Whether the words of a flag say that the patient is not to be approached for research.

They name research and refuse it, in one clause or in two clauses side by side of which one only refuses ("Research:
declined"). A "not" that belongs to care ("do not stop the study drug", "MRSA, not isolated") refuses no research.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 2000  # characters that are read of one flag

# Whole phrases that are a refusal by name. NHS England: the national data opt-out, type 1 opt-outs, and the SNOMED CT
# terms of dissent; Denmark: the register of people whose tissue is kept for care alone.
_BY_NAME = re.compile(
    r"\bnational data opt[ -]?out\b|\bndop\b|\btype (?:1|one) opt[ -]?out\b"
    r"|\bdissent\w* from (?:the )?(?:secondary use|disclosure of (?:personal )?confidential)"
    r"|\bvævsanvendelsesregist\w*",
    re.I,
)
_NO_OPT_OUT = re.compile(
    r"\b(?:no|none|not|without) (?:\w+ ){0,2}(?:opt(?:ed)?[ -]?out|dissent\w*)\b|\bopt[ -]?out\s*[:=]?\s*(?:no"
    r"|none|false)\b"
    r"|\bopt[ -]?out (?:\w+ )?(?:withdrawn|removed|revoked|cancelled)\b",
    re.I,
)
_RESEARCH = re.compile(
    r"\bresearch\b|\brsch\w*|\bsecondary use\b|\bregistry studies\b"
    r"|\btrials?\b(?! (?:of|without|off|period|run|fit\w*|lens\w*|dose|with)\b)"
    r"|\bstud(?:y|ies)\b(?! (?:drug|medication|medicine|treatment|tablets?)\b)"
    r"|forschung|wissenschaftlich|\bstudien?(?:teil\w*|kontakt\w*|anfrage\w*)?\b"
    r"|wetenschappelijk|klinisch onderzoek|onderzoeksdeelname|medisch onderzoek|\bstudies\b"
    r"|\b(?:à|a|pour|de|toute) (?:la )?recherche (?:clinique|biomédicale|médicale|scientifique)|\b(?:à"
    r"|pour) la recherche\b"
    r"|\brecherche (?:biomédicale|clinique|médicale|scientifique)\b|\bétudes?\b|\bessais?\b(?: cliniques?)?"
    r"|\b(?:en|para) (?:la )?investigación\b|\binvestigación (?:científica|clínica|médica)\b"
    r"|\bensayos?(?: clínicos?)?\b"
    r"|\bestudios? (?:clínicos?|de investigación)\b|\bparticipar en (?:\w+ )?estudios?\b"
    r"|\bricerca\b|\bstudi(?:o)? clinic[io]\b|\bsperimentazion[ei]\b|\bpartecipare a (?:\w+ )?studi\b"
    r"|\bpesquisas?\b|\bensaios? clínicos?\b|\bestudos? clínicos?\b|\binvestigação (?:científica|clínica|médica)\b"
    r"|\bforskning\w*|\bkliniske? (?:forsøg|studier?)\b|\bkliniska (?:studier|prövningar)\b|\bstudier\b"
    r"|\b(?:lääke)?tieteelli\w+ tutkimu\w+|\bkliini\w+ tutkimu\w+|\btutkimuskäyt\w+"
    r"|\bbada\w+ klinicz\w+|\bbada\w+ naukow\w+|\bklinick\w+ (?:studi\w+|hodnocení)|\bvýzkum\w*"
    r"|研究|臨床試験|治験|临床试验|臨床試驗|연구|임상시험",
    re.I,
)
# "Sleep study", "nerve conduction studies": examinations.
_EXAMINATION = re.compile(
    r"\b(?:sleep|imaging|conduction|contrast|swallow(?:ing)?|radiolog\w+|ultrasound|doppler|duplex|x[ -]?ray"
    r"|mri?|ct|lab"
    r"|laboratory|blood|urodynamics?|motility|electrophysiolog\w+|ep|coagulation|genetic|diagnostic|vascular"
    r"|emptying|flow"
    r"|voiding|barium|iron|gait|echo|cardiac|invasive|bone|perfusion|pressure|home|overnight) (?:stud(?:y|ies)"
    r"|trials?)\b"
    r"|\bétudes? (?:du|de|d['’]) ?(?:sommeil|conduction|imagerie)\b"
    r"|\b(?:leaving|full[- ]time|school|university|her|his|their) studies\b",
    re.I,
)
# People and places of research: to name them is to speak of research only where contact is refused.
_ROLE = re.compile(
    r"\b(?:research|study|trials?) (?:nurses?|coordinators?|teams?|assistants?|fellows?|pharmac\w+|units?"
    r"|departments?"
    r"|cent(?:er|re)s?|institutes?|physicians?|doctors?|staff|ward|clinic|lab\w*|hospital|site|number|id)\b",
    re.I,
)
_CONTACT = re.compile(
    r"\b(?:re-?)?contact\w*|\brecruit\w*|\bapproach\w*|\binvit\w+|\benrol\w*|\bparticipat\w*|\btak(?:e"
    r"|ing) part\b|\bshar(?:e|ing)\b"
    r"|kontakt\w*|teilnahme|teilnehmen|ansprechen|deelname|deelnemen|benader\w*|particip\w+|partecip\w+|delta\w*",
    re.I,
)
_REFUSES = re.compile(
    r"\b(?:declin\w*|refus\w*|opt(?:ed|s|ing)?[ -]?out|withdr[ae]w\w*|object(?:s|ed|ing|ions?)?|den(?:y|ies"
    r"|ied)|dissent\w*"
    r"|unwilling|averse|exclu(?:de|ded|sion) from|forbid\w*|prohibit\w*|reject\w*|revok\w*|not interested"
    r"|not willing|no consent)\b"
    r"|\b(?:lehnt|abgelehnt|\w*ablehn\w*|\w*wider(?:spr|ruf)\w*|verweiger\w*|untersagt)\b|\b\w*(?:bezwaar"
    r"|weiger\w*)\b"
    r"|\b(?:opposition|opposée?|s['’]oppose|retrait|rechaz\w+|se niega|no autoriza|rifiut\w+|ricus\w+|recus\w+"
    r"|afvis\w+|afslå\w*"
    r"|frabed\w*|nekt\w*|avböj\w*|reserver\w*|kielt\w+|kieltäyty\w*|odmaw\w+|odmow\w+|odmít\w+|sprzeciw\w*"
    r"|nesouhlas\w*)\b"
    r"|拒否|不可|希望しない|辞退|同意しない|不同意|不参加|オプトアウト|拒绝|拒絕|不愿|不願|退出|거부|동의하지|원하지",
    re.I,
)
_NOT = re.compile(
    r"\b(?:no|not|never|don['’]?t|doesn['’]?t|won['’]?t|keine?[nrs]?|nicht|nie|geen|niet|non|não|inte|ikke|ej"
    r"|ei|nie wyraża|nechce)\b"
    r"|\bne \w+ pas\b|\bn['’]\w+ pas\b|\bne pas\b|\bpas d['’e]|\baucune?\b",
    re.I,
)
# What "not" may belong to beside research: the words that follow it.
_OF_CARE = re.compile(
    r"\b(?:do |does |should |must |to |please )?(?:not|never) (?:be )?(?:isolat|stop|discontinu|giv|administ"
    r"|chang|start|hold|held|withh|interrupt"
    r"|prescri|resuscit|detect|found|toler|known|vaccin|transfus|remov|discharg|switch|reduc|paus|substitut"
    r"|dispens|speak"
    r"|required|indicated|applicable|tak(?:e|ing) (?!part)|use (?:nsaid|aspirin|live))\w*|\bnon-\w+",
    re.I,
)
_NO_OBJECTION = re.compile(
    r"\bno (?:\w+ )?(?:objections?|refusal|restrictions?|contraindications?|dissent)\b|\b(?:does|did"
    r"|do) not (?:object|decline|refuse|opt)\w*"
    r"|\b(?:not|never) (?:declined|refused|objected|withdrawn|excluded|opted[ -]?out|refusing|declining)\b"
    r"|\bnot prohibited\b"
    r"|\bkein(?:en?)? (?:widerspruch|einwände?|ablehnung)\b|\bgeen bezwaar\b|\b(?:pas"
    r"|aucune) d?['’]?opposition\b|\bsin objeción\b",
    re.I,
)
_CLAUSE_END = re.compile(r"[;,.:()\[\]/|\n]+|\s[-–—]+\s")
_FILLER = re.compile(
    r"\b(?:patient\w*|pt|he|she|they|the|a|by|has|have|is|was|been|any|all|further|future|please|do|does|to|and"
    r"|for|at|this|time|yes|on"
    r"|for|participation|consent|contact\w*|approach\w*|recruit\w*|status|flag|der|die|das|hat|wünscht|möchte"
    r"|le|la|el|il|de)\b"
    r"|[\d\W_]+",
    re.I,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def refuses_research(texts: Iterable[str]) -> bool:
    """Whether these texts, of one flag, together refuse research or contact for it. Codes may be among them."""
    joined = "; ".join(_in_words(text) for text in texts)[:_LONGEST]
    if _BY_NAME.search(joined) and not _NO_OPT_OUT.search(joined):
        return True
    if not _RESEARCH.search(joined):
        return False
    plain = _NO_OPT_OUT.sub(" ", _NO_OBJECTION.sub(" ", _EXAMINATION.sub(" ", joined)))
    clauses = [clause for clause in _CLAUSE_END.split(plain) if clause.strip()]
    about = [bool(_RESEARCH.search(clause)) for clause in clauses]
    return any(_refuses_here(clause) for clause, is_about in zip(clauses, about, strict=True) if is_about) or any(
        (is_about and _only_refuses(after, may_be_short=True))
        or (is_next and _only_refuses(clause, may_be_short=False))
        for clause, after, is_about, is_next in zip(clauses, clauses[1:], about, about[1:], strict=False)
    )


def _in_words(text: str) -> str:
    """A code as words: "no-research_contact", "ResearchOptOut"."""
    text = text.strip().replace("_", " ")
    return _CAMEL.sub(" ", text) if " " in text else _CAMEL.sub(" ", text.replace("-", " "))


def _refuses_here(clause: str) -> bool:
    """Whether a clause that names research refuses it."""
    if _REFUSES.search(clause):
        return True
    is_refused = bool(_NOT.search(_OF_CARE.sub(" ", clause)))
    return is_refused and bool(_RESEARCH.search(_ROLE.sub(" ", clause)) or _CONTACT.search(clause))


def _only_refuses(clause: str, *, may_be_short: bool) -> bool:
    """Whether a clause beside the one about research only refuses; a mere "no" counts where it `may_be_short`."""
    strong, weak = _REFUSES.search(clause), _NOT.search(clause)
    if not (strong or (weak and (may_be_short or _CONTACT.search(clause)))):
        return False
    return not _FILLER.sub("", _NOT.sub("", _REFUSES.sub("", clause)))
