"""Option codes: each label is answered by one token of the base, so that one pass over a prompt scores all labels.

A label's code is its own text where that is one token, or else the text's first word, or else letters; no two labels
have the same. The same tokenizer and labels give the same codes.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any

from headrace.errors import ArtifactError
from headrace.models.family import LabelSet, Unsupported

_LONGEST = 3


def codes_of(tokenizer: Any, labels: LabelSet) -> dict[str, str]:
    """The text of each label's code, by label. Raises Unsupported where the tokenizer has too few tokens of letters.

    A first word that several labels begin with is no code.
    """
    found: dict[str, str] = {}
    taken = set[int]()

    def take(label: str, texts: Iterator[str]) -> None:
        for text in texts:
            token = token_of(tokenizer, text)
            if token is not None and token not in taken:
                found[label] = text
                taken.add(token)
                return

    for label in labels.ids:
        take(label, _spelled(labels.texts[label]))
    first = {label: (labels.texts[label].split() or [""])[0] for label in labels.ids}
    words = [word.casefold() for word in first.values()]
    for label in labels.ids:
        if label not in found and words.count(first[label].casefold()) == 1:
            take(label, _spelled(first[label]))
    letters = _letters()
    for label in labels.ids:
        if label not in found:
            take(label, letters)
        if label not in found:
            raise Unsupported(
                f"the base's tokenizer has no token left for label {label!r} of {len(labels.ids)}; take another base"
            )
    return {label: found[label] for label in labels.ids}


def token_of(tokenizer: Any, text: str) -> int | None:
    """The one token that the text is; None where it is several, or one that does not give the text back."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] in tokenizer.all_special_ids:
        return None
    return int(ids[0]) if tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text else None


def tokens_of(tokenizer: Any, codes: Mapping[str, str], labels: Sequence[str]) -> list[int]:
    """The token of each label's code. Raises ArtifactError where one has none, or two labels have the same."""
    found = [token_of(tokenizer, codes[label]) if label in codes else None for label in labels]
    for label, token in zip(labels, found, strict=True):
        if token is None:
            code = codes.get(label, "")
            raise ArtifactError(f"the code {code!r} of label {label!r} is not one token of the base; publish it again")
    if len(set(found)) < len(found):
        raise ArtifactError("two labels have the same code; publish it again")
    return [token for token in found if token is not None]


def listed(labels: LabelSet, codes: Mapping[str, str]) -> str:
    """A line for each label: its code and, where that does not say it, what it stands for."""
    lines = zip(labels.ids, labels.lines(), strict=True)
    return "\n".join(f"- {_line(codes[label].strip(), line)}" for label, line in lines)


def _line(code: str, line: str) -> str:
    return line if line == code or line.startswith(f"{code}:") else f"{code}: {line}"


def _spelled(text: str) -> Iterator[str]:
    """As it is, with a capital, and with the blank before it that many tokenizers have in a word's token."""
    yield from dict.fromkeys((text, text[:1].upper() + text[1:]))
    yield f" {text}"


def _letters() -> Iterator[str]:
    repeated = (product(string.ascii_uppercase, repeat=length) for length in range(1, _LONGEST + 1))
    return ("".join(letters) for letters in chain.from_iterable(repeated))
