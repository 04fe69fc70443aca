"""Control tokens, such as the end of a turn: they are not part of any text that is read or written."""

from __future__ import annotations

import re
from typing import Any


def control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Finds the text of any control token; of a tokenizer that has none, nothing."""
    named = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    texts = sorted(filter(None, named | set(tokenizer.all_special_tokens)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, texts)) or r"(?!)")


def decode(tokenizer: Any, ids: Any) -> str:
    """The text of token ids, without control tokens, and with the blanks as the model wrote them."""
    # With its clean-up a tokenizer takes the blank before a full stop away, which may have been given out already.
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
