"""What a model made of texts that it is asked about again, while it is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from headrace.models.tensors import Floats


class Recall:
    """A model's rows of numbers by their texts. They are used and added to within `on` alone, and kept until it goes.

    An evaluation asks the same texts for their temperature, their labels and their distance. A gateway recalls nothing,
    and neither does what times a model.
    """

    def __init__(self) -> None:
        self._known: dict[str, Floats] = {}
        self._is_on = False

    @contextmanager
    def on(self) -> Iterator[None]:
        """Within it no text is computed twice. The model's weights may not change any more."""
        before, self._is_on = self._is_on, True
        try:
            yield
        finally:
            self._is_on = before

    def of(self, texts: Sequence[str], compute: Callable[[Sequence[str]], Floats]) -> Floats:
        """A row for each text. compute: makes those that are not known"""
        if not self._is_on:
            return compute(texts)
        import numpy as np

        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, compute(fresh), strict=True))
        return np.stack([self._known[text] for text in texts]) if len(texts) else compute(texts)
