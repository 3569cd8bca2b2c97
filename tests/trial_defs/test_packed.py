"""Compiled trials written down and read back are the same trials, and nothing else comes out of such bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Age, All, AtLeast, Consent, Trial
from trial_defs.definition.packed import one_of_each, pack, unpack

CONCEPTS = "sha256:concepts"


def there_and_back(trial: Trial) -> Trial:
    return unpack(pack([trial], CONCEPTS), CONCEPTS)[trial.hash]


def test_every_trial_comes_back_as_it_was(trials: Mapping[str, Trial]) -> None:
    for trial in trials.values():
        again = there_and_back(trial)
        assert again == trial
        assert repr(again) == repr(trial)


def test_equal_parts_of_different_trials_become_one(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    one = next(iter(trials.values()))
    other = replace(one, id="OTHER", hash="sha256:other")
    _, shared = one_of_each({each.hash: each for each in (one, other)}, catalogue.hash)
    pairs = zip(shared[one.hash].cohorts, shared[other.hash].cohorts, strict=True)
    assert all(mine is yours for mine, yours in pairs)
    adults = {id(c.asks) for cohort in shared[one.hash].cohorts for c in cohort.criteria if isinstance(c.asks, Age)}
    assert len(adults) == len({c.asks for x in one.cohorts for c in x.criteria if isinstance(c.asks, Age)})


def test_one_and_yes_stay_apart(trials: Mapping[str, Trial]) -> None:
    trial = next(iter(trials.values()))
    gate = AtLeast(1, (Consent("sign"),))
    again = there_and_back(replace(trial, cohorts=(replace(trial.cohorts[0], gate=gate, open=True),)))
    assert again.cohorts[0].open is True
    assert isinstance(again.cohorts[0].gate, AtLeast)
    assert type(again.cohorts[0].gate.count) is int


def test_what_was_compiled_with_other_concepts_is_not_used(trials: Mapping[str, Trial]) -> None:
    assert unpack(pack(trials.values(), "sha256:others"), CONCEPTS) == {}


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_byte_spoils_all(trials: Mapping[str, Trial], place: int) -> None:
    raw = bytearray(pack(trials.values(), CONCEPTS))
    raw[place] ^= 1
    assert unpack(bytes(raw), CONCEPTS) == {}
    assert unpack(bytes(raw)[:50], CONCEPTS) == {}
    assert unpack(b"", CONCEPTS) == {}


def test_bytes_of_another_form_are_not_used() -> None:
    content = msgspec.msgpack.encode({"rows": "none"})
    assert unpack(hashlib.sha256(content).digest() + content, CONCEPTS) == {}


def test_a_value_that_the_language_does_not_have_is_refused(trials: Mapping[str, Trial]) -> None:
    trial = replace(next(iter(trials.values())), version=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float"):
        pack([trial], CONCEPTS)


def test_an_empty_combination_comes_back(trials: Mapping[str, Trial]) -> None:
    trial = next(iter(trials.values()))
    again = there_and_back(replace(trial, cohorts=(replace(trial.cohorts[0], gate=All(())),)))
    assert again.cohorts[0].gate == All(())
