"""Keeps each text of a trace once, and a bounded number of them.

The same text as one object costs less memory, and its hash is kept. A hostile trace could have a
name of megabytes on every row: what comes after the bounds is not told apart any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

FURTHER = "(further names)"
"""Stands for every text that came after the bounds."""
MOST_TEXTS = 300_000
MOST_CHARACTERS = 256 << 20
LONGEST = 1 << 14
"""Characters of one text; templates of kernels, and stacks, come to thousands."""


class TextPool:
    """The texts of one window: names, shapes, modules, stacks."""

    def __init__(self, most_texts: int = MOST_TEXTS, most_characters: int = MOST_CHARACTERS):
        self.full = False
        """Whether texts are not told apart any more."""
        self._most_texts = most_texts
        self._most_characters = most_characters
        self._characters = 0
        self._of: dict[str, str] = {}
        self._of_raw: dict[bytes, str] = {b"": ""}

    def pooled(self, texts: Sequence[str]) -> list[str]:
        """The same texts, one object each."""
        known = self._of
        if self.full:
            return [known.get(text, FURTHER) for text in texts]
        before = len(known)
        found = list(map(known.setdefault, texts, texts))
        if len(known) > before:
            new = list(islice(reversed(known), len(known) - before))
            if max(map(len, new)) > LONGEST:
                for text in new:
                    del known[text]
                return self.pooled([text[:LONGEST] for text in texts])
            self._count(new)
        return found

    def one(self, text: str) -> str:
        """The same of one text."""
        known = self._of.get(text)
        return self.pooled((text,))[0] if known is None else known

    def decoded(self, encoded: Sequence[bytes]) -> list[str]:
        """Texts from UTF-8; what is none of it is replaced."""
        known = self._of_raw
        new = set(encoded) - known.keys()
        if new and self.full:
            return [known.get(one, FURTHER) for one in encoded]
        for one in new:
            text = self.one(one.decode("utf-8", "replace"))
            if len(one) > 4 * LONGEST:
                return [self.one(raw.decode("utf-8", "replace")) for raw in encoded]
            known[one] = text
        return list(map(known.__getitem__, encoded))

    def _count(self, new: Sequence[str]) -> None:
        self._characters += sum(map(len, new))
        self.full = len(self._of) > self._most_texts or self._characters > self._most_characters
