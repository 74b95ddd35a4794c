"""Words of a fixed shape: what fits is kept to the letter, and what does not is refused and never repeated."""

from __future__ import annotations

import re
import string
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.tokens import Label, RevisionId, SqlState, Token, VersionNumber

CANARY = "canary_7f3a"

LOWER, DIGITS = set(string.ascii_lowercase), set(string.digits)


def _is_label(text: str) -> bool:
    return 1 <= len(text) <= 40 and text[0] in LOWER and set(text) <= LOWER | DIGITS | {"_"}


def _is_sqlstate(text: str) -> bool:
    return len(text) == 5 and set(text) <= set(string.ascii_uppercase) | DIGITS


def _is_revision(text: str) -> bool:
    return 1 <= len(text) <= 32 and set(text) <= set("abcdef") | DIGITS


def _is_version(text: str) -> bool:
    """Whether `text` is one to five numbers, the last of them perhaps with a pre-release behind it."""
    for mark in ("rc", "a", "b"):
        release, found, serial = text.partition(mark)
        if found:
            return _is_version(release) and set(release) <= DIGITS | {"."} and _is_number(serial, 4)
    major, *rest = text.split(".")
    return _is_number(major, 4) and len(rest) <= 4 and all(_is_number(part, 6) for part in rest)


def _is_number(text: str, most: int) -> bool:
    return 1 <= len(text) <= most and set(text) <= DIGITS


KINDS = {Label: _is_label, SqlState: _is_sqlstate, RevisionId: _is_revision, VersionNumber: _is_version}

WORDS = (
    *map(Label, ("a", "email", "risk_level_2", "a" * 40)),
    *map(SqlState, ("42P01", "00000", "ZZZZZ")),
    *map(RevisionId, ("0004", "a", "f" * 32)),
    *map(VersionNumber, ("1.13.27", "18", "18.0rc1", "3.14.0a2", "2.1b1", "9999.999999.1.2.3")),
)

FOREIGN = (
    f"postgresql://ops:{CANARY}@db.example/ops",
    f"{CANARY}@example.org",
    f"{CANARY} x",
    f"x\n{CANARY}",
    f"\x1b[31m{CANARY}",
    f"{CANARY}\u202e",
    f"{CANARY}.{CANARY}",
    f"-{CANARY}",
    f"{CANARY}=1",
    CANARY.upper() + "!",
)

texts = st.one_of(
    st.text(),
    st.sampled_from(FOREIGN),
    st.text(alphabet="abcdefABZ012_.-\n", max_size=45),
    st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,7}){0,6}(a|b|rc)?[0-9]{0,5}\n?", fullmatch=True),
    st.sampled_from(WORDS).map(str),
)


def _refused(kind: type[Token], text: str) -> ValueError:
    with pytest.raises(ValueError, match=r"^not a word of this kind$") as caught:
        kind(text)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_a_word_is_of_its_shape_to_the_last_character_or_is_none(kind: type[Token], text: str) -> None:
    found = kind.or_none(text)
    if KINDS[kind](text):
        assert found == kind(text) == text
        assert type(found) is type(kind(text)) is kind
    else:
        assert found is None
        assert _refused(kind, text).args == ("not a word of this kind",)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_is_in_no_part_of_the_exception(kind: type[Token]) -> None:
    for text in FOREIGN:
        error = _refused(kind, text)
        assert (error.__cause__, error.__context__) == (None, None), text
        assert not hasattr(error, "__notes__"), text
        said = "".join(traceback.format_exception_only(error)) + repr(error) + str(error) + repr(vars(error))
        assert CANARY not in said.lower(), text


@pytest.mark.parametrize("word", WORDS)
def test_what_a_line_break_or_blank_stands_around_is_no_word(word: Token) -> None:
    for end in ("\n", "\r", "\r\n", "\x00", " ", "\t", "\x85", "\u2028", "\u00a0", "\x1b"):
        for text in (f"{word}{end}", f"{end}{word}", f"{end}", f"{word}{end}{word}"):
            assert type(word).or_none(text) is None, ascii(text)
            _refused(type(word), text)


@pytest.mark.parametrize("kind", KINDS)
def test_letters_and_digits_of_other_alphabets_are_none(kind: type[Token]) -> None:
    for text in ("\u0661", "\u00b2", "\uff12", "\uff41", "\u0430", "\u0131", "\u017f", "\u212a", "a\u0301"):
        for candidate in (text, text * 5, f"1{text}", f"a{text}", f"1.{text}", f"AAAA{text}"):
            assert kind.or_none(candidate) is None, ascii(candidate)
            _refused(kind, candidate)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_no_word(kind: type[Token]) -> None:
    assert kind.or_none(None) is None
    assert kind.or_none("") is None
    _refused(kind, "")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_text_is_refused_and_not_repeated(kind: type[Token]) -> None:
    for value in (CANARY.encode(), 5, 0.5, True, None, (CANARY,), [CANARY], {CANARY: 1}):
        with pytest.raises((TypeError, ValueError)) as caught:
            kind(value)  # type: ignore[arg-type]
        assert CANARY not in repr(caught.value), value


@pytest.mark.parametrize("word", WORDS)
def test_a_word_reads_as_the_text_it_is_and_carries_nothing_else(word: Token) -> None:
    assert f"{word}" == str(word) == "".join(word)
    assert hash(word) == hash(str(word))
    assert re.fullmatch(r"[A-Za-z0-9_.]{1,40}", word)
    with pytest.raises(AttributeError):
        word.note = CANARY  # type: ignore[attr-defined]
