"""How eligibility texts say it: the patterns of numbers, signs, units and turns of phrase, in plain lower case.

Nothing is decided here: `recognition.py` and the drafting of each side say what a phrase means where it stands.
"""

from __future__ import annotations

import re

from mappings.values.units import canonical_unit

# -- numbers, signs and units

# Not the 1 of a titre (1:80), nor the 100 of 100,000 and 45 000: such numbers are not read at all.
_NUMBER = r"\d{1,6}(?:\.\d{1,4})?(?![\d.,:]*\d)(?! \d{3}\b)"
_SIGNS = {
    ">=": r">=|≥|=>|at least|(?:not|no) (?:less|lower|fewer) than|(?:greater|more) than or equal to|minimum of",
    "<=": r"<=|≤|=<|at most|(?:not|no) (?:more|greater|higher) than|less than or equal to|up to|maximum of"
    r"|not exceed(?:ing)?",
    ">": r">|(?:greater|more|higher) than|above|over|exceed(?:s|ing)?",
    "<": r"<|(?:less|lower|fewer) than|below|under",
    "=": r"=",
}
_SIGN = "(?:" + "|".join(f"(?P<s{i}>{p})" for i, p in enumerate(_SIGNS.values())) + ")"
SIGN_OF = {f"s{i}": sign for i, sign in enumerate(_SIGNS)}
_TIMES = r"(?:\s*(?:x|times|fold|\*)?\s*(?:of\s*)?(?:the\s*)?)"
_LIMIT_OF_NORMAL = (
    r"(?P<uln>upper limits? of (?:the )?normal(?: range| value)?|upper limit of the normal range|uln)"
    r"|(?P<lln>lower limits? of (?:the )?normal(?: range| value)?|lln)"
)
_UNIT = (
    r"x ?10 ?\^? ?9 ?/ ?l|10 ?\^ ?9 ?/ ?l|x ?10 ?\^? ?3 ?/ ?(?:ul|mm3)|[mg]?g ?/ ?d?l|umol ?/ ?l|u ?/ ?l"
    r"|mg ?/ ?(?:d|day)|ml ?/ ?min(?:ute)?(?: ?/ ?1\.73 ?m\^?2)?|mm ?/ ?h(?:r|our)?|mmhg|ms(?:ec)?"
    r"|g(?:rams)? ?/ ?(?:24 ?h(?:ours)?|d(?:ay)?)"
    r"|%(?: (?:of )?(?:the )?predict(?:ed|ive)(?: value)?)?|points?|s(?:econds)?(?![a-z])"
)
# "below LLN", without a number: the same words under names of their own.
_NORMAL_ITSELF = _LIMIT_OF_NORMAL.replace("uln>", "uln1>").replace("lln>", "lln1>")
_OR_MORE = r"or (?:higher|more|above|greater|lower|less|below)"
AMOUNT = re.compile(
    rf"{_SIGN}\s*(?:the\s+)?(?:(?P<number>{_NUMBER}){_TIMES}(?:{_LIMIT_OF_NORMAL})|(?:{_NORMAL_ITSELF})"
    rf"|(?P<plain>{_NUMBER})\s*(?P<unit>{_UNIT})?)(?P<more>\s*{_OR_MORE})?"
)
BARE_AMOUNT = re.compile(
    rf"(?P<plain>{_NUMBER})\s*(?P<unit>{_UNIT})?\s*(?P<more>or (?:higher|more|above|greater)|or (?:lower|less|below))"
)
# What may stand between a name and its limit, and between names that share one.
FILLER = re.compile(
    r"^(?:[\s,:()\[\]\-]|\b(?:is|are|was|be|of|a|an|the|at|in|on|should|must|with|for|level|levels|value|values|score|scores|count|counts"
    r"|rate|ratio|total|serum|blood|criteria|classification|screening|interval|range|to|during|examination"
    r"|plt|ancs?|hb|hgb|scr|tbil|crcl|ldh|predicted|corrected|hemoglobin|parameter|parameters|period|all"
    r"|cockcroft|gault|fault|formula|concentration|peripheral|level|echocardiography|echo|defined|as)\b)*$"
)
JOINED_NAMES = re.compile(
    r"^[\s,()\-]*(?:(and/or|or|and|/|,)[\s,()\-]*(?:and/or|or|and)?)?[\s,()\-]*(?:a|the|serum|peripheral|total|blood|positive|activated)?[\s\-]*$"
)
_UNITS = {
    "ms": "ms",
    "msec": "ms",
    "mmhg": "mm[Hg]",
    "s": "s",
    "seconds": "s",
    "mm/h": "mm/h",
    "mm/hr": "mm/h",
    "mm/hour": "mm/h",
    "mg/d": "mg/d",
    "mg/day": "mg/d",
    "ml/min": "mL/min",
    "ml/minute": "mL/min",
    "g/l": "g/L",
    "g/dl": "g/dL",
    "mg/dl": "mg/dL",
    "mg/l": "mg/L",
    "umol/l": "umol/L",
    "u/l": "U/L",
}
SIGN_WORDS = {"<=": "at most", ">=": "at least"}

# -- a result and its limit

DURATION = re.compile(r"[^.;]{0,60}?\bfor\s*(?:≥|>=|>|at least|over)?\s*\d+\s*(?:days|weeks|months)")
AND_THEN = re.compile(r"^[\s,]*(?:and|but)?[\s,]*(?:(?:for|in) (?:males|men|females|women)(?: and)?\s*)?$")
LIMIT_BEFORE = re.compile(rf"(?P<plain>{_NUMBER})\s*(?P<unit>{_UNIT})?\s*(?:<=|≤)\s*")
LIMIT_AFTER = re.compile(rf"[\s()a-z]{{0,12}}(?:<=|≤)\s*(?P<plain>{_NUMBER})\s*(?P<unit>{_UNIT})?")
PROLONGED = re.compile(
    r"[\s(),a-z]{0,6}?(?:extended|prolonged|prolongation)\s*(?:by\s*)?"
    rf"(?:<=|≤|at most|no more than)\s*({_NUMBER})\s*s\b"
)
CLASSES = re.compile(
    r"[\s()a-z]{0,14}?\b(?:class|grade|level)\s*(iv|iii|ii|i|[1-4])\b"
    r"(?:\s*(?:or|-|/|and|to)\s*(iv|iii|ii|i|[1-4])\b)?"
)
FOR_SEX = re.compile(r"\s*(?:for|in)\s+(males|females|men|women)\b")
SAID_AFTER = re.compile(
    r"[\s\-()a-z]{0,3}(?:\(hcv\)|antibod(?:y|ies)|titer|titre|is|are|was|were|result|test|in peripheral blood|\s)*"
    r"(positiv(?:e|ity)|negative|(?:higher than|above) the (?:upper |lower )?limit of detection|detectable)"
)
SAID_BEFORE = re.compile(r"\b(positive|negative)\s*(?:for|peripheral blood|serum|blood|urine|tests? for|\s|:)*$")
# What is named behind these is left out; EXCEPTION, below, also holds for whole conditions ("unless stable").
EXCEPT_FOR = re.compile(r"\b(?:except(?:ing)?(?: for)?|excluding|other than|with the exception of)\b")
DENIED = re.compile(
    r"\b(?:no|not|without|never|neither|nor|absence of|free of|exclud\w+|except\w*|lack\w* of)\b[^,;.]*$"
)
CAUSED_BY = re.compile(r"(?:caused by|unrelated to|due to|non)[\s-]+(?:[a-z]+ or )?$")
WITHIN = re.compile(
    r"\b(?:within|in|during|over)(?: the)?(?: (?:past|last|previous|preceding))?\s+(?P<count>\d{1,3})\s*-?\s*"
    r"(?P<unit>days?|weeks?|months?|years?)\b"
)
_PERIOD_UNITS = {"day": "d", "week": "wk", "month": "mo", "year": "a"}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4}

# -- what a sentence is about

HISTORY = re.compile(r"\b(?:history|previous(?:ly)?|prior|past|ever)\b")
# A disease that is meant only in some form: the disease is drafted, the form is asked.
QUALIFIED = re.compile(
    r"\b(?:sever\w+|serious|uncontroll\w+|significant\w*|clinically|requir\w+|unsuitable|not suitable|active|moderate"
    r"|needs?|need(?:ed|ing)|treatable|congenital|associated|relatively|judged|considered|assessed)\b"
)
EXCEPTION = re.compile(r"\b(?:unless|except|excluding|no requirements?|other than)\b")
CONDITIONAL = re.compile(r"^\W*(?:in case of|if\b|for (?:those|patients|subjects) with)")
PATIENTS_WITH = re.compile(r"^\W*(?:patients|subjects|those) with")
ALLOWED = re.compile(
    r"\b(?:may|can|could) be (?:included|enrolled)|\b(?:allowed|permitted|acceptable|eligible)\b|relax"
)
NEGATED = re.compile(r"\b(?:no|not|without|avoid\w*|free of)\b")
DIAGNOSED = re.compile(
    r"\b(?:diagnos\w+ (?:of|with)|combined with|criteria for)\W+(?:(?!and\b|or\b)[a-z]+\W+){0,3}?$"
    r"|^\W*(?:subjects|patients) with (?:(?!and\b|or\b)[a-z/]+\W){0,4}$"
)
CLASSIFIED = re.compile(r"^\s*(?:\([a-z]+\)\s*)?classification criteria")
TAKEN = re.compile(
    r"\b(?:received|treated with|use of|treatment with|standard treatment|conventional|regimens?|using)\b"
)
DOSE = re.compile(r"\bmg\b|(?<!high.)\bdoses?\b|\bpulse\b")
ALLERGY = re.compile(r"allerg|hypersensitiv|contraindicat")
NOT_THE_PATIENT = re.compile(r"\bfamily history\b")
AGE = re.compile(
    r"\b(\d{1,2})\s*(?:to|-)\s*(\d{2,3})\s*years|between (\d{1,2}) and (\d{2,3}) years"
    r"|(?:≥|>=|at least)\s*(\d{1,2}) years?(?: old)?,? and\s*(?:≤|<=|at most|up to)\s*(\d{2,3}) years"
)
CONSENT = re.compile(r"\binformed consent\b")


def class_number(text: str) -> int:
    """ "iii" and "3" are 3."""
    return _ROMAN[text] if text in _ROMAN else int(text)


def period_unit(text: str) -> str:
    """The UCUM unit of "weeks"."""
    return _PERIOD_UNITS[text.rstrip("s")]


def ucum(plain: str) -> str | None:
    """A unit as it is written, without spaces, in UCUM; None where it is not understood."""
    if re.match(r"^x?10\^?9/l$", plain):
        return "10*9/L"
    if re.match(r"^x?10\^?3/(?:ul|mm3)$", plain):
        return "10*3/uL"
    if plain.startswith("%"):
        return "%"
    if plain.startswith("g") and "/" in plain and plain not in ("g/l", "g/dl"):
        return "g/(24.h)"
    if "1.73" in plain:
        return "mL/min/{1.73_m2}"
    return _UNITS.get(plain) or canonical_unit(plain)


def has_lost_signs(low: str) -> bool:
    """Whether "=" stands where "at most" and "at least" stood: it precedes numbers, and neither sign occurs."""
    return not re.search(r"[≤≥]|<=|>=", low) and len(re.findall(rf"[a-z)]\s*=\s*{_NUMBER}", low)) >= 2
