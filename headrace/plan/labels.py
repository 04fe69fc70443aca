"""A label's text, as a company writes it, and its id, by which everything else names the label.

    the text, folded, is a Word (it, out_of_scope, IT)        the folded text
    another text (Human Resources, Büro & Co., 人事)             its slug: human_resources, buro_co
    nothing is left, too long, or another label has the slug  the slug and a digest of the folded text

So the order of the labels never counts, and a label's id changes only where one with the same slug comes or goes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator

from headrace.plan.section import WORD

MAX_TEXT = 200
MAX_SLUG = 90


def folded(text: str) -> str:
    """What two spellings of one text have in common: no case, no blanks around it, composed characters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).strip().casefold())


@lru_cache(maxsize=1000)
def ids_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The labels' ids, in the order of `texts`."""
    plain = [folded(text) for text in texts]
    words = [bool(re.match(WORD, text)) for text in plain]
    slugs = [text if word else _slug(text) for text, word in zip(plain, words, strict=True)]
    count = Counter(slugs)
    return tuple(
        slug if word or (slug and count[slug] == 1 and len(slug) <= MAX_SLUG) else _with_digest(slug, text)
        for text, word, slug in zip(plain, words, slugs, strict=True)
    )


@lru_cache(maxsize=1000)
def names_of(texts: tuple[str, ...]) -> Mapping[str, str]:
    """Each label's text by its id, in the order of `texts`."""
    return MappingProxyType(dict(zip(ids_of(texts), texts, strict=True)))


@lru_cache(maxsize=1000)
def spellings_of(texts: tuple[str, ...]) -> Mapping[str, str]:
    """The id of each folded text, and of each id."""
    names = names_of(texts)
    return MappingProxyType({folded(text): label for label, text in names.items()} | {label: label for label in names})


def read_by_models(names: Mapping[str, str]) -> dict[str, str]:
    """Each label's text by its id, as models read it: an id has blanks for `_`, unless another label reads so then."""
    spaced = {
        label: " ".join(text.replace("_", " ").split()) if folded(text) == label else text
        for label, text in names.items()
    }
    count = Counter(map(folded, spaced.values()))
    return {label: text if count[folded(text)] == 1 else names[label] for label, text in spaced.items()}


def repeated(texts: tuple[str, ...]) -> str:
    """Which of the texts are one label, in words; empty where none are."""
    for spelled, says in (
        (texts, "labels names one label twice: {1!r}"),
        (map(folded, texts), "{!r} and {!r} are one label: case and blanks around it make no difference"),
        (ids_of(texts), "{!r} and {!r} get one id; write one of them otherwise"),
    ):
        seen: dict[str, str] = {}
        for text, name in zip(texts, spelled, strict=True):
            if name in seen:
                return says.format(seen[name], text)
            seen[name] = text
    return ""


def _slug(text: str) -> str:
    ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", ascii_).strip("_")
    return f"label_{slug}" if slug[:1].isdigit() else slug


def _with_digest(slug: str, text: str) -> str:
    return f"{slug[:MAX_SLUG] or 'label'}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _is_text(text: str) -> str:
    text = text.strip()
    if not text or len(text) > MAX_TEXT or any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text):
        raise ValueError(f"a label has 1 to {MAX_TEXT} characters on one line")
    return text


LabelText = Annotated[str, AfterValidator(_is_text)]
