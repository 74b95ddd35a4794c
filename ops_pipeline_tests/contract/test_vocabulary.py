"""The words of the event contract."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.config import Taxonomy
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import is_label
from ops_pipeline.contract.vocabulary import Outcome, Reserved, Touch


def test_touches_and_outcomes_are_those_of_the_event_contract_in_the_order_of_the_funnel() -> None:
    assert [touch.value for touch in Touch] == ["first", "second"]
    assert " ".join(Outcome) == "offered suppressed attempted held queued delivered failed acknowledged disabled"


def test_the_default_taxonomy_is_the_documented_one() -> None:
    assert {outcome.value: " ".join(reasons) for outcome, reasons in Taxonomy().reasons.items()} == {
        "held": ("rate_limited cooldown_active disabled crisis_window identity_leak offer_unavailable risk_level_2"),
        "suppressed": (
            "rate_limited cooldown_active disabled_until_active disabled_permanent crisis_blocked unknown"
        ),
        "disabled": "negative_ack identity_leak",
        "failed": "bounced_hard bounced_soft blocked expired complaint",
        "acknowledged": "positive neutral negative",
    }


def test_a_deployment_declares_reasons_of_its_own_but_not_what_a_reaction_is() -> None:
    reasons = Taxonomy(held=("quiet_hours",)).reasons
    assert reasons[Outcome.HELD] == ("quiet_hours",)
    assert reasons[Outcome.ACKNOWLEDGED] == ("positive", "neutral", "negative")


@pytest.mark.parametrize("text", ["a", "email", "risk_level_2", "a_", "a__b", "a" * 40])
def test_a_short_lower_case_word_is_a_label(text: str) -> None:
    assert is_label(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 41,
        "A",
        "_a",
        "2a",
        "a b",
        "a-b",
        "a.b",
        "a\n",
        "\na",
        "a\x00",
        "ä",
        "\u0430",  # Cyrillic a
        "\uff41",  # full-width a
        "a\u0661",  # Arabic digit one
        "a\u0301",  # combining accent
        "6f1c1f0e-5a0b-4c8e-9d57-2f6c1d1b8a11",
        "ada@example.org",
    ],
)
def test_what_could_be_an_identifier_is_no_label(text: str) -> None:
    assert not is_label(text)


@given(st.one_of(st.text(), st.from_regex(r"[a-z][a-z0-9_]{0,45}\n?")))
def test_a_label_is_what_the_documented_pattern_says_to_the_last_character(text: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789_")
    documented = 1 <= len(text) <= 40 and set(text) <= allowed and text[0] in "abcdefghijklmnopqrstuvwxyz"
    assert is_label(text) is documented


def test_a_reason_that_is_no_label_or_reserved_cannot_be_declared() -> None:
    for outcome in ("held", "suppressed", "disabled", "failed"):
        for reason in ("Quiet Hours", "", "a" * 41, *Reserved):
            with pytest.raises(ValueError, match=outcome):
                Taxonomy(**{outcome: ("rate_limited", reason)})


def test_every_reason_code_is_a_label_with_a_meaning_and_a_next_step_of_one_line() -> None:
    assert all(is_label(reason) for reason in Reason)
    for reason in Reason:
        for sentence in (reason.means, reason.next_step):
            assert re.fullmatch(r"[A-Za-z].*[^ ]", sentence), reason
            assert sentence.endswith("."), reason
