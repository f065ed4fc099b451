"""Ratings and emoji, which are read before a text is divided into words."""

from __future__ import annotations

import re

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_OF = re.compile(
    rf"\b{_NUMBER}(?: stars?)?(?: ?/ ?| out of | of ){_NUMBER}\b(?! ?/)(?: stars?| points?)?",
    re.IGNORECASE,
)
_STARS = re.compile(rf"\b{_NUMBER}[ -]stars?\b", re.IGNORECASE)
_PERCENT = re.compile(r"(?:(?<=^)|(?<=give it )|(?<=gave it )|(?<=rating: )|(?<=score: ))(\d+) ?%")
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
_RATED = re.compile(r"rated(\d+)percent")


def spell_ratings(text: str) -> str:
    """`text` with each rating as one word, "rated80percent" for "8/10" or "★★★★☆", and emoticons
    as emoji."""
    for pattern, emoji in _EMOTICONS.items():
        text = pattern.sub(emoji, text)
    text = _OF.sub(_of, text)
    text = _DRAWN.sub(_drawn, text)
    text = _STARS.sub(lambda match: _rated(_number(match[1]), 5.0) or match[0], text)
    return _PERCENT.sub(lambda match: _rated(float(match[1]), 100.0) or match[0], text)


def rating_value(word: str) -> float | None:
    """The value of a rating or an emoji, from -2 (nothing) to 2 (full marks); otherwise None."""
    if rated := _RATED.fullmatch(word):
        return int(rated[1]) / 25 - 2.0
    return EMOJI.get(word)


def _number(word: str) -> float:
    return float(word.replace(",", "."))


def _rated(number: float, scale: float) -> str:
    scale = 10.0 if scale < number <= 10.0 and scale == 5.0 else scale
    return f" rated{round(100 * min(number / scale, 1.0))}percent "


def _of(match: re.Match[str]) -> str:
    scale = _number(match[2])
    return _rated(_number(match[1]), scale) if scale in _SCALES else match[0]


def _drawn(match: re.Match[str]) -> str:
    full = sum(char in "★⭐🌟✭" for char in match[0])
    empty = sum(char in "☆✩" for char in match[0])
    return _rated(full, float(max(full + empty, 5)))
