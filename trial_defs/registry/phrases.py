"""How eligibility texts say it: the patterns of numbers, signs, units and turns of phrase, in plain lower case.

Nothing is decided here: `recognition.py` and the drafting of each side say what a phrase means where it stands.
"""

from __future__ import annotations

import re

from mappings.values.units import canonical_unit

# -- numbers, signs and units

# Thousands may be parted ("100,000", "45 000", and "50.000" before a count in a volume); a comma may part decimals
# ("2,5"). Not the 1 of a titre (1:80).
_VOLUME = r"(?:u ?l|mm ?\^? ?3|cmm|mmc|cu\.? ?mm|cubic millimet(?:er|re)s?|microlit(?:er|re)s?|mcl)\b"
_NUMBER = (
    r"(?:\d{1,3}(?:[,' ]\d{3})+(?!\d)|\d{1,3}\.\d{3}(?= ?(?:cells? ?)?(?:/|per) ?" + _VOLUME + r")"
    r"|\d{1,6}(?:[.,]\d{1,4})?)(?!\d|[.,:]\d)"
)
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
_TEN = r"(?:[x*] ?)?10 ?(?:\^|e|\*\*?|exp)? ?\(?"
_UNIT = (
    _TEN + r"9\)? ?(?:cells? ?)?/ ?l(?:iters?|itres?)?\b|giga ?/ ?l\b|" + _TEN + r"6\)? ?(?:cells? ?)?/ ?l\b"
    r"|"
    + _TEN
    + r"3\)? ?(?:cells? ?)?/ ?"
    + _VOLUME
    + r"|(?:k|thousand) ?/ ?"
    + _VOLUME
    + r"|"
    + _TEN
    + r"6\)? ?/ ?ml\b"
    r"|(?:cells? ?|platelets? ?)?(?:/|per) ?" + _VOLUME + r""
    r"|mg ?/ ?(?:mmol|g)\b|g ?/ ?g\b|[mg]?g ?/ ?d?l\b|[pn]g ?/ ?m?l\b|[pnum]mol ?/ ?l\b|(?:m?iu|u"
    r"|units?) ?/ ?(?:m?l|liter|litre)\b"
    r"|meq ?/ ?l\b|copies ?/ ?ml\b|ug ?/ ?m?l\b|kg ?/ ?m ?\^? ?2(?!\d)|kg\b|(?:degrees? (?:celsius|c)\b|° ?c\b)"
    r"|(?:bpm|beats? ?(?:/|per) ?min(?:ute)?s?|breaths? ?(?:/|per) ?min(?:ute)?s?|/ ?min(?:ute)?)\b"
    r"|mg ?/ ?(?:d|day)\b|ml ?/ ?min(?:ute|utes)?\b(?: ?/ ?1\.73 ?m ?\^? ?2)?|mm ?/ ?h(?:r|our)?\b|mm ?/? ?hg\b"
    r"|ms(?:ec)?\b|milliseconds?\b"
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
    r"^(?:[\s,:()\[\]\-]|\b(?:is|are|was|be|of|a|an|the|at|in|on|should|must|with|for|level|levels|value|values"
    r"|score|scores|count|counts"
    r"|rate|ratio|total|serum|blood|criteria|classification|screening|interval|range|to|during|examination"
    r"|plt|ancs?|hb|hgb|scr|tbil|crcl|ldh|predicted|corrected|hemoglobin|parameter|parameters|period|all"
    r"|calculated|by|using|estimated|measured|determined|per|method|equation|mdrd|ckd|epi|fridericia|fridericia's"
    r"|bazett"
    r"|cockcroft|gault|fault|formula|concentration|peripheral|level|echocardiography|echo|defined|as)\b)*$"
)
JOINED_NAMES = re.compile(
    r"^[\s,()\-]*(?:(and/or|or|and|/|,)[\s,()\-]*(?:and/or|or|and)?)?[\s,()\-]*(?:a|the|serum|peripheral|total"
    r"|blood|positive|activated)?[\s\-]*$"
)
_UNITS = {
    "milliseconds": "ms",
    "millisecond": "ms",
    "mm/hg": "mm[Hg]",
    "bpm": "/min",
    "kg": "kg",
    "kg/m2": "kg/m2",
    "mmol/l": "mmol/L",
    "nmol/l": "nmol/L",
    "pmol/l": "pmol/L",
    "pg/ml": "pg/mL",
    "ng/ml": "ng/mL",
    "ng/l": "ng/L",
    "pg/l": "pg/L",
    "ug/l": "ug/L",
    "ug/ml": "ug/mL",
    "iu/l": "[IU]/L",
    "miu/ml": "m[IU]/mL",
    "iu/ml": "[IU]/mL",
    "u/ml": "U/mL",
    "units/ml": "U/mL",
    "units/l": "U/L",
    "meq/l": "meq/L",
    "copies/ml": "{copies}/mL",
    "mg/g": "mg/g",
    "g/g": "g/g",
    "mg/mmol": "mg/mmol",
    "celsius": "Cel",
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
OR_THEN = re.compile(r"^[\s,]*(?:and|but|or|and/or)?[\s,]*(?:(?:for|in) (?:males|men|females|women)(?: and| or)?\s*)?$")
CHANGE = re.compile(
    r"\b(?:decreas|declin|increas|chang|reduc|worsen|drop|fall|improve|variab|reversib|rise|loss|gain|doubling|fluctuat"
    r"|difference|delta|pre-?bd|post-?bd)\w*\b[^,;.]*$"
)
RATIO_BEFORE = re.compile(r"[a-z0-9)]\s*/\s*$|\bto[\s-]+$|\bratio of [a-z0-9 ]*$")
RATIO_AFTER = re.compile(
    r"\s*(?:/\s*(?:fvc|creatinine|platelet|fio2|cr\b|hdl|ast\b(?=\s+ratio))|(?:to|:)[\s-]+creatinine"
    r"|[\s-]+to[\s-]+[a-z]+ ratio)"
)
IN_SOME_CASE = re.compile(
    r"\s*(?:for|if|in case|in (?:patients|subjects|those|participants|the case)|when|only|with|or)\b"
)
TITRE = re.compile(
    rf"[\s,()]*(?:titers?|titres?|is|of|positive|at|with|a|an|by|\s|\()*{_SIGN}\s*1\s*:\s*(?P<titre>\d{{1,5}})\b"
)
_RANGE_FILLER = (
    r"(?:[\s,:()]|\b(?:is|are|was|of|a|an|the|must|should|be|score|scores|index|performance|status|ps|levels?|value"
    r"|values|between|from|range|ranging|class|total|with|grade|at|screening|baseline|currently|calculated|in"
    r"|group)\b){0,14}?"
)
RANGE = re.compile(
    rf"{_RANGE_FILLER}(?P<between>\bbetween\s+"
    rf"|\bfrom\s+)?(?<![<>≥≤=\d.])(?P<low>{_NUMBER})\s*(?P<first>{_UNIT})?(?P<middle>(?:\s*,\s*\d)*)"
    rf"\s*(?P<by>-|~|to(?:\s+(?:≤|<=))?|or|/"
    rf"|and)\s*(?P<high>{_NUMBER})\s*(?P<unit>{_UNIT})?(?!\s*(?:[a-z]+\s*)?(?:days|weeks|months|years)\b)"
)
PRESSURE = re.compile(
    rf"\b(?:blood pressures?|bp)\s*(?:\(bp\)\s*)?(?:of|is|was|measurement|at|screening"
    rf"|[\s:])*{_SIGN}\s*(?P<systolic>\d{{2,3}})\s*"
    r"(?:mm ?hg)?\s*(?:/|x)\s*(?P<diastolic>\d{2,3})\b\s*(?:mm ?hg)?"
)
LIMIT_BEFORE = re.compile(rf"(?P<plain>{_NUMBER})\s*(?P<unit>{_UNIT})?\s*(?:<=|≤)\s*")
LIMIT_AFTER = re.compile(rf"[\s()a-z]{{0,12}}(?:<=|≤)\s*(?P<plain>{_NUMBER})\s*(?P<unit>{_UNIT})?")
PROLONGED = re.compile(
    r"[\s(),a-z]{0,6}?(?:extended|prolonged|prolongation)\s*(?:by\s*)?"
    rf"(?:<=|≤|at most|no more than)\s*({_NUMBER})\s*s\b"
)
CLASSES = re.compile(
    r"[\s()a-z]{0,14}?\b(?:class|grade|level)\s*(iv|iii|ii|i|[1-4])\b"
    r"(?:(?:\s*,\s*(?:iii|ii|i|[1-3])\b)*,?\s*(?:or|-|/|and|to)\s*(?:class )?(iv|iii|ii|i|[1-4])\b)?"
)
# "< 60 or ≥ 110 bpm": the unit stands behind the second number only.
UNIT_OF_THE_NEXT = re.compile(
    rf"\s*(?:\(?(?:males|females|men|women)\)?\s*)?(?:or|and|and/or|to)\s*(?:{_SIGN}\s*)?{_NUMBER}\s*(?P<unit>{_UNIT})"
)
FOR_SEX = re.compile(r"\s*(?:\(\s*|(?:for|in)\s+)(?:for |in )?(males|females|men|women)\b\)?")
SAID_AFTER = re.compile(
    r"[\s\-()a-z]{0,3}(?:\(hcv\)|antibod(?:y|ies)|titer|titre|is|are|was|were|result|test|in peripheral blood|\s)*"
    r"(positiv(?:e|ity)|negative|(?:higher than|above) the (?:upper |lower )?limit of detection|detectable)"
)
SAID_BEFORE = re.compile(r"\b(positive|negative)\s*(?:for|peripheral blood|serum|blood|urine|tests? for|\s|:)*$")
# What is named behind these is left out; EXCEPTION, below, also holds for whole conditions ("unless stable").
EXCEPT_FOR = re.compile(r"\b(?:except(?:ing)?(?: for)?|excluding|other than|with the exception of)\b")
DENIED = re.compile(
    r"\b(?:no|not(?! limited)|without|never|neither|nor|absence of|free of|exclud\w+|except\w*|lack\w*(?: of)?"
    r"|rather than"
    r"|other than|unless|instead of|inability|unable)\b[^,;.]*$"
)
RULED_OUT = re.compile(
    r"[\s,]*(?:\([^()]*\)\s*)?(?:has been |have been |was |were |is |are )?(?:ruled out|excluded|negative|absent)\b"
)
CAUSED_BY = re.compile(
    r"(?:caused by|unrelated to|related to|due to|secondary to|attributable to|because of|resulting from|result of|non"
    r"|(?:at )?(?:high |increased |higher )?risk (?:of|for)|risk factors? for|prevent|prevention of"
    r"|treatment (?:of|for)"
    r"|become|becoming|get|getting|suspicion of|predispos\w+ (?:to|for))[\s-]+(?:[a-z]+ or )?$"
)
_COUNT = (
    r"(?:\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|twenty[ -]four"
    r"|twenty[ -]eight|thirty)"
)
_PERIOD = r"(?P<unit{n}>days?|weeks?|months?|years?|yrs?|wks?|mos?|d)\b"
_BACK = r"(?:the|a|prior|past|last|previous|preceding|up to|at least)"
# Behind "within 3 months of": an event of the patient's own course, so that the time is not counted back from now.
_EVENT = (
    r"(?:[a-z]+ ){0,3}?(?:diagnos|onset|relaps|recurren|symptom|deliver|birth|discontinu|complet|stop|cessation"
    r"|end of|last\b"
    r"|each|progress|adjuvant|prior therap|previous|transplant|discharge|menopaus|event|death)"
)
WITHIN = re.compile(
    rf"\b(?:within|in|during|over)(?: {_BACK})*\s+(?P<count1>{_COUNT})(?: ?\(\d+\))?\s*-?\s*{_PERIOD.format(n=1)}"
    rf"|(?:≤|<=|<|less than|fewer than|under|no more than|not more than)\s*(?P<count2>{_COUNT})\s*{_PERIOD.format(n=2)}"
    r"(?=,? (?:ago|-ago|before|prior|preceding|of|from|since)\b)"
    rf"|\b(?:within|in|during|over)(?: the)? (?:past|last|previous|preceding|prior) (?P<unit3>year|month|week)\b"
    rf"|(?<![-\d])\b(?P<count4>{_COUNT})\s*{_PERIOD.format(n=4)}(?=,? (?:before|prior to|preceding)\b)"
)
LONG_WINDOW = re.compile(
    r"\b(?:within|in|over|during)\s+(?:[a-z]+ )*(?:[2-9]|\d\d|two|three|six|twelve) (?:months|years)"
)
FOR_A_GROUP = re.compile(r"\bfor (?:the )?[a-z0-9]+ (?:arm|group|cohort|part)\b|\(phase [0-9ab/ ]+[^()]*only\)")
FOR_SO_LONG = re.compile(r"(?:≥|>=|>|at least|more than|longer than|for|minimum of|over)\s*$")
ANOTHER_EVENT = re.compile(
    rf"\s*(?:(?:after|following|post|later)\b|(?:of|prior to|before|preceding|from|since)\s+(?:the |their |an? "
    rf"|any )?{_EVENT})"
)
_PERIOD_UNITS = {"day": "d", "week": "wk", "month": "mo", "year": "a", "d": "d", "wk": "wk", "mo": "mo", "yr": "a"}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4}

# -- what a sentence is about

HISTORY = re.compile(r"\b(?:history|previous(?:ly)?|prior(?! to)|past|ever)\b")
AS_IT_IS_NOW = re.compile(
    r"[,;]\s*(?:(?:and|or)\s+)?(?:inadequately|insufficiently|poorly|uncontrolled|unstable|current(?:ly)?|active|ongoing)\b"
)
# A disease that is meant only in some form: the disease is drafted, the form is asked.
QUALIFIED = re.compile(
    r"\b(?:sever\w+|serious|uncontroll\w+|significant\w*|clinically|requir\w+|unsuitable|not suitable|active|moderate"
    r"|needs?|need(?:ed|ing)|treatable|congenital|associated|relatively|judged|considered|assessed)\b"
)
EXCEPTION = re.compile(r"\b(?:unless|except|excluding|no requirements?|other than)\b")
CONDITIONAL = re.compile(r"^\W*(?:in case of|if\b|for (?:those|patients|subjects) with)")
# A line or a sentence that belongs to the one before: a note, an exception, a case.
NOTE = re.compile(
    r"^\W*(?:notes?\b|n\.?b\.?\b|exceptions?\b|except\b|unless\b|however\b|provided that\b|this (?:restriction"
    r"|criterion|exclusion|does)"
    r"|these (?:exclusion |inclusion )?criteria|otherwise\b|in case of|if\b|for (?:those|patients|subjects"
    r"|participants|women|men) with"
    r"|excluded:|replacement therapy|stable\b[^.]{0,60}\ballowed"
    r"|(?:[a-z\-/]+ ){0,14}?(?:may|can|will|would) (?:be (?:included|enrolled|considered|eligible|allowed"
    r"|permitted|waived)|participate|enroll)"
    r"|(?:[a-z\-/,()]+ ){0,14}?(?:is|are) (?:allowed|permitted|acceptable|eligible|not exclu\w+|not considered))"
)
SURE_NOTE = re.compile(r"^\W*(?:notes?|n\.?b\.?|exceptions?|except|unless|however)\b")
PATIENTS_WITH = re.compile(r"^\W*(?:patients|subjects|those) with")
ALLOWED = re.compile(
    r"\b(?:may|can|could|will) be (?:included|enrolled|considered|eligible|allowed|permitted|waived)"
    r"|\b(?:may|can) (?:participate|enroll?|use|receive|continue|still)\b"
    r"|(?<!not )(?<!not be )(?<!n't )\b(?:allowed|permitted|acceptable|eligible)\b|relax"
    r"|not (?:be )?(?:an )?exclu\w+|not considered|does not (?:apply|exclude|result|preclude)|are not excluded"
    r"|no(?:t| longer) (?:a )?(?:reason|criterion)|\bokay if\b"
)
NEGATED = re.compile(r"\b(?:no|not|without|avoid\w*|free of)\b")
DIAGNOSED = re.compile(
    r"\b(?:diagnos\w+ (?:of|with)|combined with|criteria for)\W+(?:(?!and\b|or\b)[a-z]+\W+){0,3}?$"
    r"|^\W*(?:(?:male|female|adult|men|women|people|adults|individuals"
    r"|participants)\b[^,;:]{0,45}) with (?:(?!and\b|or\b)[a-z/]+\W){0,4}$"
    r"|^\W*(?:subjects|patients) with (?:(?!and\b|or\b)[a-z/]+\W){0,4}$"
)
CLASSIFIED = re.compile(r"^\s*(?:\([a-z]+\)\s*)?classification criteria")
TAKEN = re.compile(
    r"\b(?:received|treated with|use of|treatment with|standard treatment|conventional|regimens?|using)\b"
)
# A line over a list of drugs: what it lists was given.
TREATED_LIST = re.compile(
    r"\b(?:receiv\w+|treat(?:ed|ment)s? with|response to|respond\w* to|failed|failure (?:of|to|on)|failing"
    r"|ineffective|intoleran\w+"
    r"|refractory to|prior|previous(?:ly)?|used|using|therap(?:y|ies)|treatments?)\b"
)
DOSE = re.compile(
    r"\bmg\b|(?<!high.)(?<!first )(?<!last )(?<!prior to )(?<!before )\bdoses?\b(?! of (?:the )?(?:study|investig"
    r"|trial))|\bpulse\b"
)
ALLERGY = re.compile(r"allerg|hypersensitiv|contraindicat|(?<!anti)anaphyla|reactions? to")
NOT_THE_PATIENT = re.compile(
    r"\bfamily history\b|\b(?:degree|blood|family) (?:relative|member)s?\b|\brelatives? (?:with|diagnosed)"
    r"|\bpregnant (?:partner|wife|spouse)"
)
AGE = re.compile(
    r"\b(\d{1,2})\s*(?:to|-)\s*(\d{2,3})\s*years|between (\d{1,2}) and (\d{2,3}) years"
    r"|(?:≥|>=|at least)\s*(\d{1,2}) years?(?: old)?,? and\s*(?:≤|<=|at most|up to)\s*(\d{2,3}) years"
)
CONSENT = re.compile(r"\binformed consent\b")


def class_number(text: str) -> int:
    """ "iii" and "3" are 3."""
    return _ROMAN[text] if text in _ROMAN else int(text)


def number(text: str) -> str:
    """ "1,500" and "50.000" as 1500 and 50000, "2,5" as 2.5."""
    if re.fullmatch(r"[1-9]\d{0,2}(?:[,' ]\d{3})+", text) or re.fullmatch(r"[1-9]\d{0,2}\.000", text):
        return re.sub(r"[,' .]", "", text)
    return text.replace(",", ".")


COUNT_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "fourteen": 14, "twenty four": 24, "twenty eight": 28, "thirty": 30,
}  # fmt: skip


def period_unit(text: str) -> str:
    """The UCUM unit of "weeks"."""
    return _PERIOD_UNITS[text.rstrip("s").rstrip(".")]


def ucum(plain: str) -> str | None:
    """A unit as it is written, without spaces, in UCUM; None where it is not understood."""
    if re.match(rf"^{_TEN.replace(' ?', '')}9\)?(?:cells?)?/l", plain) or plain == "giga/l":
        return "10*9/L"
    if re.match(rf"^{_TEN.replace(' ?', '')}6\)?(?:cells?)?/l$", plain):
        return "10*6/L"
    if re.match(rf"^{_TEN.replace(' ?', '')}6\)?/ml$", plain):
        return "10*9/L"
    if re.match(rf"^(?:k|thousand|{_TEN.replace(' ?', '')}3\)?(?:cells?)?)/(?!l)", plain):
        return "10*3/uL"
    if re.match(r"^(?:cells?|platelets?)?(?:/|per)(?:ul|mm|cmm|mmc|cu|micro|mcl)", plain):
        return "/uL"
    if plain.startswith(("degree", "°")):
        return "Cel"
    if re.match(r"^(?:beats?(?:/|per)|breaths?(?:/|per)|/min)", plain):
        return "/min"
    plain = plain.replace("m^2", "m2").replace("minutes", "minute")
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
