"""Restricted security labels in every form in which FHIR servers write them."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.chart.labels import is_labelled, without_labelled
from tests.mappings.charts import SUBJECT, a_chart, a_patient

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RESTRICTED = frozenset({(ACT_CODE, "ETH"), ("https://clinic.example/labels", "VIP")})
Json = dict[str, Any]


def condition(label: Json) -> Json:
    text = {"text": "Psychosis"}
    return {"resourceType": "Condition", "id": "c", "subject": SUBJECT, "code": text, "meta": {"security": [label]}}


@pytest.mark.parametrize(
    "label",
    [
        {"system": ACT_CODE, "code": "ETH"},
        {"system": ACT_CODE, "code": "eth"},
        {"system": f" {ACT_CODE} ", "code": " ETH "},
        {"system": ACT_CODE.replace("http:", "https:"), "code": "ETH"},
        {"system": f"{ACT_CODE}|9.0.0", "code": "ETH"},
        {"system": f"{ACT_CODE}/", "code": "ETH"},
        {"system": "urn:oid:2.16.840.1.113883.5.4", "code": "ETH"},
        {"system": "http://hl7.org/fhir/v3/ActCode", "code": "ETH"},
        {"code": "ETH"},
        {"system": "", "code": "ETH"},
        {"system": "http://clinic.example/labels", "code": "vip"},
    ],
)
def test_a_label_restricts_in_every_form_of_its_system_and_code(label: Json) -> None:
    chart = a_chart(a_patient(), condition(label))
    assert not without_labelled(chart, RESTRICTED).records["Condition"]
    assert is_labelled(a_chart(a_patient(meta={"security": [label]})), RESTRICTED)


@pytest.mark.parametrize(
    "label",
    [
        {"system": ACT_CODE, "code": "HIV"},
        {"system": ACT_CODE, "code": "VIP"},
        {"system": "https://clinic.example/labels", "code": "ETH"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "ETH"},
        {"code": "N"},
    ],
)
def test_another_label_restricts_nothing(label: Json) -> None:
    chart = a_chart(a_patient(meta={"security": [label]}), condition(label))
    assert without_labelled(chart, RESTRICTED) is chart
    assert not is_labelled(chart, RESTRICTED)


@pytest.mark.parametrize(
    "meta",
    [
        {"security": "R"},
        {"security": 5},
        {"security": True},
        {"security": ["R"]},
        {"security": [["R"]]},
        {"security": [{"system": ACT_CODE, "code": "HIV"}, "R"]},
        {"security": [{"system": ACT_CODE, "code": {"value": "ETH"}}]},
        {"security": [{"system": ACT_CODE, "code": True}]},
        {"security": [{"system": ["a", "b"], "code": "HIV"}]},
        {"security": [{"coding": [{"system": ACT_CODE, "code": "ETH"}]}]},
        {"security": [{"system": ACT_CODE}]},
        {"security": [{"system": ACT_CODE, "code": " "}]},
        {"security": [{"display": "Ethics"}]},
        {"security": [{}]},
        "R",
        7,
        [{"security": []}, {"security": []}],
    ],
)
def test_a_record_whose_labels_cannot_be_read_is_kept_back(meta: Any) -> None:
    found = condition({}) | {"meta": meta}
    chart = a_chart(a_patient(), found)
    assert chart.records["Condition"]
    assert not without_labelled(chart, RESTRICTED).records["Condition"]
    assert without_labelled(chart, frozenset()) is chart
    assert is_labelled(a_chart(a_patient(meta=meta)), RESTRICTED)


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        {"security": None},
        {"security": []},
        {"security": {"system": ACT_CODE, "code": "HIV"}},
        {"security": [None, {"system": ACT_CODE, "code": "HIV", "display": 5}]},
        {"lastUpdated": {"value": "2026-01-01"}},
        {"versionId": [1, 2], "lastUpdated": [], "security": []},
        [{"security": []}],
    ],
)
def test_what_is_wrong_beside_the_labels_keeps_nothing_back(meta: Any) -> None:
    chart = a_chart(a_patient(), condition({}) | {"meta": meta})
    assert without_labelled(chart, RESTRICTED) is chart
    assert chart.records["Condition"]


def test_what_is_wrong_beside_a_restricted_label_does_not_lose_it() -> None:
    meta = {"versionId": [1, 2], "lastUpdated": {}, "security": [{"system": ACT_CODE, "code": "ETH", "display": 5}]}
    chart = a_chart(a_patient(), condition({}) | {"meta": meta})
    assert not without_labelled(chart, RESTRICTED).records["Condition"]
