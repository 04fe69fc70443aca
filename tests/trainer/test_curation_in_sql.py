"""ClickHouse and Python mean the same by a text, and a data set is the same whichever of them compares the texts."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
from curation_rules import adds_up, rules
from test_likeness import DIFFERENT, FOOTER, SAME
from trainer_history import TASK, History, questions

from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.likeness import CHARACTERS, Likeness
from trainer.curate.rows import Curated
from trainer.curate.selection import curate
from trainer.curate.stage import with_texts
from trainer.curate.text import digest, normal

# Letters of later versions of Unicode have no category yet in the oldest Python that headrace runs on.
KNOWN = [chr(code) for code in range(0x20, 0x20000) if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")]


def asked(warehouse: Warehouse, texts: list[str]) -> None:
    """Questions with these texts whose answers somebody liked."""
    history = History()
    for text in texts:
        history.say(history.ask(text, "hr"), "user", "thumb", value=1)
    history.store(warehouse)


def test_the_normal_form_is_the_same(empty: Warehouse) -> None:
    """Each character that both know, beside letters and apart, has the same normal form, and texts the same digest."""
    texts = [text for _, *pair in DIFFERENT + SAME for text in pair]
    texts += ["x" + " a".join(KNOWN[start : start + 200]) for start in range(0, len(KNOWN), 200)]
    texts += ["-5 --5 a-5 5-6 -x ⁵-5", "- 5", "ẞtraße İstanbul ISPARTALI ılık", "a\u200bb\u00adc\ufe0f", "?!"]
    texts += ["1*2*3*4 /5", "1 ** 2 5/x y/5 ⁵/5 5/⁵ 5 /\t5", "!= 1!=2 a!b", "*1*", "3 & 4 ^ 5"]
    asked(empty, texts)
    found = empty.rows(f"SELECT input, normal, digest FROM questions_normal(task='{TASK}')")
    assert len(found) == len(texts)
    assert [row["input"] for row in found if row["normal"] != normal(row["input"])] == []
    assert [row["input"] for row in found if row["digest"] != digest(row["normal"])] == []


def test_sketches_are_the_same(empty: Warehouse) -> None:
    """Texts short and long, of wide and narrow characters, with boilerplate and without have the same sketch."""
    random_ = random.Random(4)
    texts = [text for _, *pair in DIFFERENT + SAME for text in pair]
    texts += [f"{text}{FOOTER}" for text, _ in questions(40)] + [text for text, _ in questions(40, seed=2)]
    texts += [f"请问如何在公司系统中申请年假并查询余额请问如何{number}号" for number in range(30)]
    texts += ["a", "vpn", FOOTER, *(f"x{number}{FOOTER}" for number in range(20))]
    texts += [" ".join(random_.choices("alpha beta gamma delta epsilon".split(), k=CHARACTERS)) for _ in range(2)]  # noqa: SIM905
    asked(empty, texts)
    for read in (CHARACTERS, 320, 41):
        mine, theirs = Likeness.of_texts(texts, read), sources.Texts(empty, TASK, read).likeness()
        assert mine.digests.tolist() == theirs.digests.tolist()
        assert np.array_equal(mine.sketches, theirs.sketches[theirs.rows])


@pytest.fixture
def history(empty: Warehouse) -> History:
    """Audits, corrections and thumbs, with texts that repeat, nearly repeat, conflict and leak."""
    random_, history = random.Random(6), History()
    texts = [text for text, _ in questions(60)]
    for number in range(400):
        text = random_.choice(texts)
        text = random_.choice([text, text.upper(), f"Hello, {text}", f"{text}{FOOTER}"])
        answer = history.ask(text, "hr", user_ref=f"u{number % 40}", session_id=f"s{number // 3}")
        if number % 3 == 0:
            history.say(answer, "user", "correction", label=random_.choice(["it", "hr", "nobody"]))
        elif number % 3 == 1:
            history.say(answer, "user", "thumb", value=1)
        else:
            history.audited(text, "hr", random_.choice(["hr", "it"]), session_id=f"s{number // 3}")
    history.store(empty)
    return history


def test_a_data_set_is_the_same_without_texts_in_memory(empty: Warehouse, history: History) -> None:
    """Digests and sketches by ClickHouse choose the rows that the texts choose, and the texts come with the rows."""
    here = curate(sources.answers(empty, TASK), rules())
    assert curated(empty) == here and adds_up(here)
    assert {"leakage", "leakage_session", "near_duplicate", "exact_duplicate"} <= here.exclusions.keys()


def curated(warehouse: Warehouse) -> Curated:
    """As a trainer's attempt curates."""
    answers, texts = sources.answers(warehouse, TASK, texts=False), sources.Texts(warehouse, TASK)
    assert {answer.text for answer in answers} == {""}
    return with_texts(curate(answers, rules(), texts.likeness()), texts)


def test_a_text_that_changes_while_it_is_chosen_is_left_out(empty: Warehouse, history: History) -> None:
    """A row whose answer was corrected or erased after it was chosen is counted and is no row."""
    answers, texts = sources.answers(empty, TASK, texts=False), sources.Texts(empty, TASK)
    chosen = curate(answers, rules(), texts.likeness())
    changed, gone = chosen.rows[0], chosen.rows[1]
    empty.command(
        "ALTER TABLE inferences DELETE WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 2", id=gone.inference_id
    )
    empty.command(
        "ALTER TABLE inferences UPDATE input = 'redacted' WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 2",
        id=changed.inference_id,
    )
    found = with_texts(chosen, texts)
    assert not {changed.inference_id, gone.inference_id} & {row.inference_id for row in found.rows}
    assert len(found.rows) == len(chosen.rows) - 2 and found.exclusions["text_changed"] == 2
    assert adds_up(found)
