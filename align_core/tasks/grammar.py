"""A small weighted grammar without recursion, whose rules both generate and parse texts.

Rules are plain text, one on each line; a line that starts with a space continues the last one:

    clause   = 3 the <part> was <adjective> | the <part> fell flat
    part     = plot | music

A leading number is the weight of an alternative (1 by default), `<name>` is another rule, and
everything else is words and punctuation. No alternative is empty. "a" and "an" are the same word,
written by the rules of English.
"""

from __future__ import annotations

import random
import re
from bisect import bisect
from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate, product

_SYMBOL = re.compile(r"<\w+>|\w+(?:['-]\w+)*|[.,!?;:]")
_TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[.,!?;:]|[^\w\s]")
_VOWEL_SOUND = re.compile(r"(?!eu|uni|use|one\b)[aeiou]|honest|honour|hour", re.IGNORECASE)
_ENDS = frozenset(".!?")
PUNCTUATION = frozenset(".,!?;:")


def tokenize(text: str) -> list[str]:
    """Lower-cased words and punctuation marks. A correct article, "a" or "an", gives "a"; one that
    does not fit the next word gives "an"."""
    tokens = split_words(text.lower())
    for i, token in enumerate(tokens):
        if token == "a" or token == "an":
            following = tokens[i + 1] if i + 1 < len(tokens) else ""
            fits = not following or (token == "an") == bool(_VOWEL_SOUND.match(following))
            tokens[i] = "a" if fits else "an"
    return tokens


def split_words(text: str) -> list[str]:
    """Words and punctuation marks as they are written."""
    return _TOKEN.findall(text.replace("’", "'"))


def join(symbols: list[str]) -> str:
    """Tokens as English text: with spaces, capitals at the start of sentences, and "a" or "an"."""
    text = ""
    for i, token in enumerate(symbols):
        if token == "a" and _VOWEL_SOUND.match("".join(symbols[i + 1 : i + 2])):
            token = "an"
        if not text or text[-1] in _ENDS:
            token = token[0].upper() + token[1:]
        text += token if token in PUNCTUATION or not text else " " + token
    return text


class Grammar:
    """Rules in the notation above. Raises ValueError for an unknown or recursive rule."""

    def __init__(self, rules: str) -> None:
        self._alternatives: dict[str, list[tuple[str, ...]]] = {}
        self._weights: dict[str, list[float]] = {}
        for line in re.sub(r"\n[ \t]+", " ", rules).splitlines():
            if line.strip():
                self._add(*line.split("=", 1))
        checked: set[str] = set()
        for name in self._alternatives:
            self._check(name, (), checked)
        self._first, self._last = self._edges(0), self._edges(-1)
        self._by_first = {name: self._index(name) for name in self._alternatives}
        self.words = {
            symbol.lower()
            for alternatives in self._alternatives.values()
            for symbols in alternatives
            for symbol in symbols
            if symbol[0] != "<" and symbol not in PUNCTUATION
        }

    @cached_property
    def pairs(self) -> set[tuple[str, str]]:
        """All pairs of words that can be adjacent within an alternative of a rule."""
        return {
            pair
            for alternatives in self._alternatives.values()
            for symbols in alternatives
            for left, right in zip(symbols, symbols[1:], strict=False)
            for pair in product(self._ends_of(left, self._last), self._ends_of(right, self._first))
        }

    def generate(
        self, start: str, rng: random.Random, fixed: Mapping[str, str] | None = None
    ) -> str:
        """A random text of rule `start`; `fixed` maps some rules to the text that they produce."""
        replacements = {f"<{name}>": words.split(" ") for name, words in (fixed or {}).items()}
        return join(self._expand(f"<{start}>", rng, replacements, []))

    def parses(self, tokens: list[str], start: str) -> bool:
        """Whether rule `start` can produce exactly these tokens, as `tokenize` returns them."""
        return len(tokens) in self._reach(f"<{start}>", 0, [*tokens, ""], {})

    def phrases(self, start: str) -> list[tuple[str, ...]]:
        """Every token sequence that rule `start` can produce, lower-cased."""
        return [
            tuple(token for part in parts for token in part)
            for symbols in self._alternatives[f"<{start}>"]
            for parts in product(
                *(self.phrases(s[1:-1]) if s[0] == "<" else [(s.lower(),)] for s in symbols)
            )
        ]

    def _add(self, name: str, body: str) -> None:
        alternatives, weights = [], []
        for text in body.split("|"):
            symbols = ["a" if s == "an" else s for s in _SYMBOL.findall(text)]
            weights.append(float(symbols.pop(0)) if symbols[0].isdigit() else 1.0)
            alternatives.append(tuple(symbols))
        self._alternatives[f"<{name.strip()}>"] = alternatives
        self._weights[f"<{name.strip()}>"] = list(accumulate(weights))

    def _check(self, name: str, above: tuple[str, ...], checked: set[str]) -> None:
        if name not in self._alternatives:
            raise ValueError(f"expected a rule {name}, got none")
        if name in above:
            raise ValueError(f"expected no recursion, got the recursive rule {name}")
        if name in checked:
            return
        for symbol in {symbol for symbols in self._alternatives[name] for symbol in symbols}:
            if symbol[0] == "<":
                self._check(symbol, (*above, name), checked)
        checked.add(name)

    def _edges(self, end: int) -> dict[str, set[str]]:
        """For each rule, the words with which it can start (end = 0) or end (end = -1)."""
        edges: dict[str, set[str]] = {}

        def words(symbol: str) -> set[str]:
            if symbol[0] != "<":
                return {symbol.lower()}
            if symbol not in edges:
                alternatives = self._alternatives[symbol]
                edges[symbol] = set().union(*(words(symbols[end]) for symbols in alternatives))
            return edges[symbol]

        for name in self._alternatives:
            words(name)
        return edges

    def _ends_of(self, symbol: str, edges: dict[str, set[str]]) -> set[str]:
        return edges[symbol] if symbol[0] == "<" else {symbol.lower()}

    def _index(self, name: str) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
        """First word -> the alternatives of a rule that can start with it, for fast parsing. Each
        is (1, the symbols after the word), or (0, all symbols) if it starts with another rule."""
        index: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for symbols in self._alternatives[name]:
            lowered = tuple(s if s[0] == "<" else s.lower() for s in symbols)
            read = 0 if lowered[0][0] == "<" else 1
            for word in self._ends_of(symbols[0], self._first):
                index.setdefault(word, []).append((read, lowered[read:]))
        return index

    def _expand(
        self, name: str, rng: random.Random, fixed: dict[str, list[str]], tokens: list[str]
    ) -> list[str]:
        """Append a random text of a rule to `tokens`; returns `tokens`."""
        if name in fixed:
            tokens += fixed[name]
            return tokens
        weights = self._weights[name]  # drawn as `rng.choices` draws
        chosen = bisect(weights, rng.random() * weights[-1], 0, len(weights) - 1)
        for symbol in self._alternatives[name][chosen]:
            if symbol[0] == "<":
                self._expand(symbol, rng, fixed, tokens)
            else:
                tokens.append(symbol)
        return tokens

    def _reach(self, name: str, position: int, tokens: list[str], memo: dict) -> set[int]:
        """The positions at which a text of rule `name` that starts at `position` can end."""
        known = memo.get((name, position))
        if known is not None:
            return known
        ends: set[int] = set()
        for read, symbols in self._by_first[name].get(tokens[position], ()):
            reached = {position + read}
            for symbol in symbols:
                if symbol[0] != "<":
                    reached = {start + 1 for start in reached if tokens[start] == symbol}
                else:
                    first, starts = self._by_first[symbol], reached
                    reached = set()
                    for start in starts:
                        if tokens[start] in first:
                            reached |= self._reach(symbol, start, tokens, memo)
                if not reached:
                    break
            ends |= reached
        memo[name, position] = ends
        return ends
