"""When two questions are the same, exactly or nearly: on what the model reads, in any script."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from simulation.grammar import World
from trainer.curate import near
from trainer.curate.likeness import CHARACTERS, Likeness, boilerplate, jaccard, read_by, sketches
from trainer.curate.text import digest, normal

DIFFERENT = [
    ("Devanagari vowel signs", "पता कैसे बदलें", "पति कैसे बदलें"),
    ("Devanagari vowel signs", "मेरी बिल", "मेरी बेल"),
    ("Bengali vowel signs", "আমার বিল", "আমার বেল"),
    ("Thai tone marks", "ขอเสื้อ", "ขอเสือ"),
    ("Thai tones", "ข้าวใหม่", "ข่าวใหม่"),
    ("Tamil vowel signs", "படி", "படு"),
    ("Khmer vowel signs", "កាត", "កូត"),
    ("Hebrew points", "סֵפֶר", "סַפָּר"),
    ("Arabic short vowels", "كُتُب", "كَتَب"),
    ("Vietnamese tones", "má tôi hỏi", "mà tôi hỏi"),
    ("Vietnamese tones, decomposed", "ma\u0301", "ma\u0300"),
    ("Korean syllables", "급여 명세서", "급식 명세서"),
    ("Japanese voicing", "かき", "かぎ"),
    ("Chinese characters", "请假", "请教"),
    ("languages", "Please install C++", "Please install C#"),
    ("languages", "Please install C", "Please install C#"),
    ("minus", "set it to -5", "set it to 5"),
    ("percent", "a raise of 5 %", "a raise of 5"),
    ("currency", "it costs 5 $", "it costs 5 €"),
    ("comparison", "x < 3", "x > 3"),
    ("emoji", "all good 👍", "all good 👎"),
    ("arithmetic", "6 / 2", "6*2"),
    ("arithmetic without signs", "6*2*1", "6 2 1"),
    ("operators", "what is 2 ^ 3", "what is 2 & 3"),
    ("not equal", "if a != b", "if a = b"),
]
SAME = [
    ("case, blanks and punctuation", "Where  is my FORM?!", "where is my form"),
    ("composition", "Müller", "Mu\u0308ller"),
    ("sharp s and final sigma", "STRASSE ΟΔΟΣ", "straße οδος"),
    ("full width", "ＶＰＮ　５", "vpn 5"),
    ("soft hyphen and joiners", "pass\u00adword \u200breset", "password reset"),
    ("variants of an emoji", "thanks ❤\ufe0f 👍🏽", "thanks ❤ 👍"),
    ("a hyphen within a word", "covid-19", "covid 19"),
    ("a slash between words", "yes / no *now* & 2 * x", "yes no now 2 x"),
    ("a fraction", "½ cup", "1/2 cup"),
    ("signs of minus", "-5 degrees", "\u22125 degrees"),
    ("quotes", "“my” laptop’s", '"my" laptop\'s'),
]
FOOTER = (
    "\n\n--\nKind regards\nThis e-mail and any attachments are confidential. If you are not the intended recipient,"
    " please delete it and inform the sender at once. Acme Corporation, 1 Main Street, Springfield."
)


def repeated(texts: list[str], groups: list[int] | None = None) -> NDArray[np.bool_]:
    """Whether each of the normalised texts nearly repeats an earlier one of its group; all are of one by default."""
    return near.repeated(sketches(texts), np.arange(len(texts)), groups or [0] * len(texts))


@pytest.mark.parametrize(("what", "one", "other"), DIFFERENT, ids=[f"{a}-{n}" for n, (a, *_) in enumerate(DIFFERENT)])
def test_what_changes_the_meaning_makes_another_text(what: str, one: str, other: str) -> None:
    """Marks of any script and signs that carry meaning are part of a text; each pair has two digests."""
    assert normal(one) != normal(other), what
    assert not repeated([normal(one), normal(other)], [0, 1]).any()


@pytest.mark.parametrize(("what", "one", "other"), SAME, ids=[what for what, *_ in SAME])
def test_spelling_makes_no_other_text(what: str, one: str, other: str) -> None:
    """Case, punctuation, composition and invisible characters make no difference."""
    assert normal(one) == normal(other), what


def test_plain_texts_keep_their_digests() -> None:
    """A text of letters and numbers stays on its side of the split: its digest is the one that it always had."""
    assert digest(normal("How many DAYS of leave 2026")) == "ca28d2fbe1a21b20b5f9f98b1ae573df"


def test_near_duplicates_need_the_same_label() -> None:
    """Nearly the same words under two labels both stay: telling them apart is what the model must learn."""
    pair = ["please reset my password for the payroll system now", "please reset my password for the payroll system"]
    assert repeated(pair).tolist() == [False, True]
    assert repeated(pair, [0, 1]).tolist() == [False, False]
    assert not repeated(["how many days off", "where is the printer"]).any()


@pytest.mark.parametrize(
    ("question", "particle", "other"),
    [
        ("请问如何在公司系统中申请年假并查询余额", "谢谢", "请问食堂今天中午的菜单是什么在哪里看"),
        ("회사 시스템에서 연차 휴가를 어떻게 신청하나요", " 네", "오늘 구내식당 점심 메뉴는 어디에서 볼 수 있나요"),
        ("ฉันจะขอลาพักร้อนในระบบของบริษัทได้อย่างไร", "คะ", "วันนี้โรงอาหารมีเมนูอะไรบ้างดูได้ที่ไหน"),
        ("कंपनी की प्रणाली में छुट्टी के लिए आवेदन कैसे करें", " जी", "आज कैंटीन में दोपहर का खाना क्या है"),
    ],
    ids=["Chinese", "Korean", "Thai", "Hindi"],
)
def test_near_duplicates_are_found_in_any_script(question: str, particle: str, other: str) -> None:
    """A particle more does not make another question, also where a word has few characters."""
    texts = [normal(text) for text in (question, question + particle, other)]
    assert repeated(texts).tolist() == [False, True, False]


def test_planted_near_duplicates_are_found_and_others_are_not() -> None:
    """A typo, a word more or a word less is found in ≥ .95 of texts of 60 characters and more, at ≤ .01 false."""
    random_ = random.Random(3)
    words = " ".join(question.text for question in World(1).questions(1, 800)).split()
    originals = [" ".join(random_.sample(words, random_.randint(11, 40))) for _ in range(1500)]
    planted = [edited(text, random_) for text in originals]
    texts = [normal(text) for text in originals + planted]
    found = repeated(texts)
    assert found[len(originals) :].mean() >= 0.95
    assert found[: len(originals)].mean() <= 0.01
    held_out = near.leaked(sketches(texts), np.arange(1500, 3000), np.arange(750))
    assert held_out[:750].mean() >= 0.95 and held_out[750:].mean() <= 0.01


def edited(text: str, random_: random.Random) -> str:
    """The text as somebody else might write it."""
    words, place = text.split(), random_.randrange(len(text))
    return random_.choice(
        [
            text[:place] + random_.choice("aeiou") + text[place + 1 :],
            f"Hello, {text}",
            f"{text} please!",
            " ".join(words[:3] + words[4:]),
        ]
    )


@pytest.mark.parametrize("footer", [FOOTER, FOOTER.replace("\n", " ").replace(".", "")], ids=["lines", "one line"])
def test_a_shared_footer_makes_no_duplicates(footer: str) -> None:
    """Sixty questions with one e-mail footer stay sixty, however short they are; the same question is still found."""
    sixty = unlike([question.text for question in World(2).questions(1, 200)])[:60]
    short = ["vpn down", "printer jam", "no sound", "new badge", "my payslip", "visa letter", "wifi slow", "parking"]
    texts = [normal(f"{text}{footer}") for text in (*sixty, *short, f"{sixty[0]} please")]
    found = np.flatnonzero(repeated(texts))
    assert found.tolist() == [len(texts) - 1]


def test_a_footer_is_boilerplate_however_long_the_history_is() -> None:
    """A team of twelve does not share less of a footer since a hundred thousand others wrote too."""
    twelve = [normal(f"{question.text}{FOOTER}") for question in World(2).questions(1, 12)]
    others = [f"question {number}" for number in range(110_000)]
    assert boilerplate(others + twelve) == boilerplate(twelve) != frozenset()


def test_what_no_model_reads_makes_no_other_text() -> None:
    """Of an encoder of 64 tokens only the beginnings are compared; a plan whose other base reads more compares more."""
    asked = [question.text for question in World(2).questions(1, 24)]
    letter = " ".join(asked[:12])[:400]
    texts = [f"{letter} {' '.join(rest)}" for rest in (asked[12:18], asked[18:])]
    for max_lengths, alike in (((64,), True), ((64, 2048), False)):
        found = Likeness.of_texts(texts, read_by(max_lengths)).sketches
        assert near.repeated(found, np.arange(2), [0, 0]).any() == alike
    assert read_by([]) == read_by([2048]) == CHARACTERS


def unlike(texts: list[str]) -> list[str]:
    """The texts without those that share half of their shingles with an earlier one."""
    found, kept = sketches(list(dict.fromkeys(map(normal, texts)))), list(dict.fromkeys(map(normal, texts)))
    alike = [jaccard(np.repeat(found[row : row + 1], row, axis=0), found[:row]) for row in range(len(found))]
    return [text for text, shares in zip(kept, alike, strict=True) if not (shares > 0.5).any()]


def test_a_template_that_is_all_there_is_makes_duplicates() -> None:
    """Where texts differ in next to nothing beside what they share, they are one question."""
    template = "please unlock my account, I typed the password wrong three times and must work: user {}"
    texts = [normal(template.format(number)) for number in range(100, 160)]
    assert repeated(texts).sum() > 50


def test_a_text_that_was_not_sketched_is_told_apart() -> None:
    """A text that is not there has no place, not that of another one."""
    known = Likeness.of_texts(["one text", "another text"])
    places = known.places([digest("another text"), digest("a third text"), digest("one text")])
    assert sorted(places.tolist()) == [-1, 0, 1] and places[1] == -1
    assert Likeness.of_texts([]).places([digest("one text")]).tolist() == [-1]
