"""The trial's own disease: what its conditions, its title and its inclusion criteria are about.

An exclusion that names it, or a disease that includes it, turns away the patients whom the trial is for ("other
malignancy" in a cancer trial). Such an exclusion is never drafted bare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mappings.concepts.catalogue import Catalogue
from trial_defs.registry import phrases
from trial_defs.registry.lexicon import Lexicon
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import Point, outline, plain

# Concept -> the words by which a disease below it is named, whether the catalogue has that disease or not.
_BELOW: Mapping[str, str] = {
    "malignancy": r"cancer|carcinom|tumou?r|neoplas|melanom|lymphom|leuka?emi|myelom|sarcom|blastom|gliom|mesotheliom"
    r"|metasta|malignan|oncolog|\bnsclc\b|\bhcc\b|\baml\b|\bcll\b",
    "active-infection": r"infect|tubercul|\btb\b|covid|\bsars|\bhiv\b|hepatitis [bcd]|sepsis|septic|pneumonia"
    "|candid|fung"
    r"|malaria|influenza|bacteri|virus|viral|sepsis",
    "hypertension": r"hypertensi",
    "pulmonary-hypertension": r"pulmonary (?:arterial )?hypertensi|\bpah\b",
    "heart-failure": r"heart failure|\bhf(?:p|r|mr)?ef\b|\bhf\b|cardiomyopath|\blvad\b|ventricular dysfunction"
    "|cardiovascular dis",
    "myocardial-infarction": r"infarct|coronary|stemi\b|angina|\bpci\b|cardiovascular dis",
    "coronary-artery-disease": r"infarct|coronary|stemi\b|angina|cardiovascular dis|atheroscl",
    "angina": r"angina|coronary",
    "unstable-angina": r"angina|coronary syndrome",
    "arrhythmia": r"arrhythm|fibrillation|tachycard|\baf\b",
    "cerebrovascular-disease": r"stroke|cerebrovasc|isch(?:a)?emic attack|intracranial ha?emorrh|subarachnoid",
    "cognitive-impairment": r"alzheim|dementia|cognitive|lewy",
    "dementia": r"alzheim|dementia|lewy|frontotemporal",
    "parkinson-disease": r"parkinson",
    "depression": r"depress",
    "psychosis": r"psychosis|psychotic|schizo",
    "suicidality": r"suicid",
    "psychiatric-disorder": r"depress|schizo|bipolar|psych|anxiety|ptsd|mental",
    "autoimmune-disease": r"lupus|arthritis|sclerosis|myositis|myopath|vasculit|sj[oö]gren|autoimmun|myasthen"
    "|crohn|colitis"
    r"|psoria|pemphig|nmosd|neuromyelitis|\biim\b|\bsle\b|\bssc\b|\bmg\b|\bra\b|alopecia areata|celiac",
    "vasculitis": r"vasculit|arteritis|granulomatosis",
    "kidney-disease": r"kidney|renal|nephr|\bckd\b",
    "end-stage-renal-disease": r"end[ -]stage (?:renal|kidney)|dialys|\besrd\b|\bckd\b",
    "cirrhosis": r"cirrho",
    "immunodeficiency": r"immunodefic|\bhiv\b",
    "hiv": r"\bhiv\b|immunodeficiency virus",
    "hbsag": r"hepatitis b|\bhbv\b",
    "anti-hcv": r"hepatitis c|\bhcv\b",
    "central-nervous-system-disease": r"stroke|parkinson|alzheim|multiple sclerosis|epilep|dementia|nmosd"
    "|neuromyel|gliom"
    r"|brain|encephal",
    "epilepsy": r"epilep|seizure",
    "seizure": r"epilep|seizure",
    "interstitial-lung-disease": r"interstitial|pulmonary fibrosis|\bild\b|\bipf\b",
    "hemolytic-anemia": r"ha?emoly|paroxysmal nocturnal",
    "tuberculosis-infection": r"tubercul|\btb\b",
    "pregnancy": r"pregnan|preeclamps|gestation",
    "brain-injury": r"brain injury|concussion",
    "pleural-effusion": r"pleural",
    "immune-thrombocytopenia": r"thrombocytop",
}
_ABOUT_THE_DISEASE = re.compile(
    r"diagnos|confirmed|histolog|cytolog|patholog|\b(?:patients|subjects|participants|adults|people) with\b"
    r"|refractory|relaps"
    r"|documented|history of|classification criteria|metastatic|unresectable|advanced|suffering"
    r"|^\W*[a-z]+ (?:cancer|disease)\W*$"
)
_ABOUT_THE_STATE = re.compile(
    r"\b(?:no|not|without|negative|function|adequate|consent|contracepti\w+|must not|unless|except)\b"
)


class OwnDisease:
    """Which concepts an exclusion may not name bare."""

    def __init__(self, record: Record, catalogue: Catalogue, lexicon: Lexicon) -> None:
        self.catalogue = catalogue
        low = plain(record.eligibility)
        said = [plain(" ; ".join((*record.conditions, record.title, record.brief_title)))]
        said += [s for s in _inclusions(low, outline(record.eligibility)) if _is_about_the_disease(s)]
        self.text = " ; ".join(said)
        named = {m.concept for m in lexicon.find(lexicon.diagnoses, self.text, 0, len(self.text))}
        named |= {m.concept for m in lexicon.find(lexicon.infections, self.text, 0, len(self.text))}
        self.concepts = {above for name in named for above in catalogue.ancestors(name)}
        self.concepts |= {name for name, words in _BELOW.items() if re.search(words, self.text)}

    def covers(self, concept: str) -> bool:
        """Whether the concept is the trial's own disease, or one that includes it."""
        return concept in self.concepts


def _inclusions(low: str, points: list[Point]) -> list[str]:
    found = []
    for point in points:
        if point.side == "inclusion":
            found += re.split(r"[;.]\s", low[point.start : point.end])
            found += _inclusions(low, point.children)
            if point.about:
                found.append(f"patients with {plain(point.about)}")
    return found


def _is_about_the_disease(text: str) -> bool:
    return bool(_ABOUT_THE_DISEASE.search(text)) and not (
        _ABOUT_THE_STATE.search(text) or phrases.NOT_THE_PATIENT.search(text)
    )
