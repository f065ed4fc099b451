"""Ratings and emoji, which are read before a text is divided into words."""

from __future__ import annotations

import re

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_FRACTION = re.compile(
    rf"((?<!\S)[-−])?\b{_NUMBER}(?: stars?)?(?: ?/ ?| out of | of ){_NUMBER}\b"
    r"(?! ?/)(?: stars?| points?)?",
    re.IGNORECASE,
)
_STARS = re.compile(rf"\b{_NUMBER}[ -]stars?\b", re.IGNORECASE)
_GIVEN = r"(?:give|gave|giving|rate|rated|rating|score|scored|scores|grade|gets|deserves|earns)"
_OBJECT = r"(?::|,| it| this| that| the film| the movie)?(?: an?)?(?: solid| full| generous)?"
_BEFORE_RATING = rf"(?:^|(?<=[.!?:;,])|\b{_GIVEN}{_OBJECT})\s*"
_AFTER_RATING = r"(?=\s*(?:$|[.,!?;:)])|\s+(?:on|from|for|and|but)\b)"
_PERCENT = re.compile(
    rf"{_BEFORE_RATING}(\d+(?:\.\d+)?)(?: ?%| percent\b){_AFTER_RATING}", re.IGNORECASE
)
_GRADE = re.compile(rf"{_BEFORE_RATING}\b([A-DF]){_AFTER_RATING}")
_SIGNED_GRADE = re.compile(r"(?<!\S)([A-D])([+-]|[-\s]plus|[-\s]minus)(?![\w/+-])")
_GRADES = {"A": 92.0, "B": 76.0, "C": 50.0, "D": 24.0, "F": 0.0}
_DIGITS = "zero one two three four five six seven eight nine".split()
_HALVES = re.compile(
    rf"\b({'|'.join(_DIGITS)})[ -]and[ -]a[ -]half"
    r"(?: out of (five|ten)|[ -]stars?(?: out of (five|ten))?)\b",
    re.IGNORECASE,
)
_DRAWN = re.compile(r"[★⭐🌟✭]\ufe0f?(?:\s?[★⭐🌟✭☆✩]\ufe0f?)*|☆(?:\s?☆)+")
_SCALES = {5.0, 10.0, 100.0, 4.0, 6.0, 20.0}

_EMOTICONS = {
    re.compile(r"(?<!\S)(?:[:;=8]-?[)D\]pP]|<3|\(:|\^_?\^|xD)(?!\w)"): " 🙂 ",
    re.compile(r"(?<!\S)(?:[:=]'?-?[(\[/|\\]|\):|>:\(|-_-|D:)(?!\w)"): " 🙁 ",
}
EMOJI: dict[str, float] = {
    **dict.fromkeys("👍😍🥰🤩🏆💯🔥🎉👏🙌💖💕💗❤♥😻🫶👌🥇✨💎🤗😘", 1.5),
    **dict.fromkeys("😊😀😃😄😁😆😂🤣🙂😺😸😎🥳☺😌🤓😉😋💪🍿👑", 1.0),
    **dict.fromkeys("👎🤮🤢💩😡🤬😠🗑💔☠💀🚮🥱😴💤😤😾", -1.5),
    **dict.fromkeys("😒🙄😞😔😟🙁☹😣😖😫😩😑😐😕🤦🥴😪😬🤨😓😢😿🤥🤡😵", -1.0),
}
# Matches every text with a rating or an emoticon: these have a grade, a half, "xD", or a character
# other than letters, spaces and common punctuation.
_MAYBE_RATED = re.compile(r"[^A-Za-z\s,.!?']|\b[A-DF]\b|xD|[Hh][Aa][Ll][Ff]")
_RATED = re.compile(r"rated(\d+)percent")


def spell_ratings(text: str) -> str:
    """`text` with each rating as one word, "rated80percent" for "8/10" or "★★★★☆", and emoticons
    as emoji."""
    if not _MAYBE_RATED.search(text):
        return text
    for pattern, emoji in _EMOTICONS.items():
        text = pattern.sub(emoji, text)
    text = _HALVES.sub(_half, text.replace("½", ".5"))
    text = _FRACTION.sub(_fraction, text)
    text = _DRAWN.sub(_drawn, text)
    text = _STARS.sub(lambda match: _rated(_number(match[1]), 5.0) or match[0], text)
    text = _PERCENT.sub(lambda match: _rated(float(match[1]), 100.0), text)
    text = _SIGNED_GRADE.sub(_grade, text)
    return _GRADE.sub(lambda match: _rated(_GRADES[match[1]], 100.0), text)


def rating_value(word: str) -> float | None:
    """The value of a rating or an emoji, from -2 (nothing) to 2 (full marks); otherwise None."""
    if word.isalpha():  # a word, as nearly all are
        return None
    if rated := _RATED.fullmatch(word):
        return int(rated[1]) / 25 - 2.0
    return EMOJI.get(word)


def _number(word: str) -> float:
    return float(word.replace(",", "."))


def _rated(number: float, scale: float) -> str:
    scale = 10.0 if scale < number <= 10.0 and scale == 5.0 else scale
    return f" rated{round(100 * min(number / scale, 1.0))}percent "


def _fraction(match: re.Match[str]) -> str:
    below_zero, number, full = match[1], _number(match[2]), _number(match[3])
    return _rated(0.0 if below_zero else number, full) if full in _SCALES else match[0]


def _drawn(match: re.Match[str]) -> str:
    full = sum(char in "★⭐🌟✭" for char in match[0])
    empty = sum(char in "☆✩" for char in match[0])
    return _rated(full, float(max(full + empty, 5)))


def _half(match: re.Match[str]) -> str:
    scale = 10.0 if "ten" in (match[2], match[3]) else 5.0
    return _rated(_DIGITS.index(match[1].lower()) + 0.5, scale)


def _grade(match: re.Match[str]) -> str:
    better = match[2] == "+" or match[2].endswith("plus")
    return _rated(_GRADES[match[1]] + (8.0 if better else -8.0), 100.0)
