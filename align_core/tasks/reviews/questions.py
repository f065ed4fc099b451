"""Questions in a review, and their answers in the next sentence."""

from __future__ import annotations

_AUXILIARIES = frozenset(
    "was is were are am did does do has have had will would could can should might".split()
)
_WH_WORDS = frozenset("what how who why where when".split())
_MODALS = frozenset("can could would should does did will".split())
_ANYONE = frozenset("anyone anybody someone somebody i you we they people one".split())
_NO = """
    no | not | nope | nah | not at all | not really | not in the least | not in the slightest
    never | not for a second | not for a moment | not for a minute | not a bit | not one bit
    hardly | not a chance | not remotely | not even close | far from it | by no means
    absolutely not | definitely not | certainly not | of course not | no way
    quite the opposite | in no way | quite the contrary | on the contrary | anything but
    not so much | not exactly | not quite | hell no | oh no | god no | not once | not true
    not particularly | not especially | not much | not in a million years | not on your life
    and pigs might fly | and pigs can fly | and i'm the pope | and i am the pope
    and i'm the queen of sheba | and i am the queen of sheba
    and i'm the queen of england | and i am the queen of england
    not likely | not if you paid me | not by a long shot | not by a mile | none | none whatsoever
    i disagree | i beg to differ | don't believe them | don't believe it | nothing of the sort
"""
_YES = """
    yes | yeah | yep | yup | absolutely | definitely | certainly | of course | very
    very much | totally | sure | indeed | you bet | without a doubt | oh yes | completely
    extremely | utterly | hell yes | and how | very much so | without question | truly
    every minute | always | terribly | in a heartbeat | any day | any time | anytime | gladly
    happily | big time | and then some | without hesitation | over and over
    again and again | a thousand times
"""


def _phrases(text: str) -> list[tuple[str, ...]]:
    phrases = [tuple(p.split()) for line in text.strip().splitlines() for p in line.split("|")]
    return sorted(phrases, key=len, reverse=True)


_SUBJECTS = "it this that he she they we i you this_one this_film this_movie the_film the_movie"
_SHORT = [  # "it was", of "it was not", "they are wrong"
    (*subject.split("_"), verb)
    for subject in _SUBJECTS.split()
    for verb in "was is were are did does do has had have could would".split()
]
_CONTRACTED = [("it's",), ("that's",), ("he's",), ("she's",), ("they're",), ("you're",), ("i'm",)]
_MORE_WRONG = ("be more wrong", "have been more wrong")
_DENIED = (
    *("not", "never", "wrong", "mistaken", "anything but", "nothing of the sort", "not true"),
    *("all wrong", "so wrong", "dead wrong", "quite wrong"),
    *(f"not {wrong}" for wrong in _MORE_WRONG),
)
_REPLIES = {
    **dict.fromkeys(_phrases(_YES), True),
    **dict.fromkeys(_SHORT, True),
    **dict.fromkeys(_phrases(_NO), False),
    **{(*short, *denied.split()): False for short in (*_SHORT, *_CONTRACTED) for denied in _DENIED},
    **{
        (*subject, f"{verb}n't", *rest.split()): False
        for *subject, verb in _SHORT
        for rest in ("", *_MORE_WRONG)
    },
}
_LONGEST = max(map(len, _REPLIES))
_OPENERS = frozenset(
    "oh well um er erm hmm ah god lord honestly sadly frankly spoiler : but , so".split()
)


def reply(tokens: list[str]) -> tuple[bool, int] | None:
    """(is yes, number of tokens) of the "yes" or "no" that begins a sentence after a question; None
    if the sentence begins with neither."""
    begin = next((i for i, token in enumerate(tokens) if token not in _OPENERS), len(tokens))
    for size in range(_LONGEST, 0, -1):
        phrase, after = tuple(tokens[begin : begin + size]), tokens[begin + size : begin + size + 1]
        if phrase in _REPLIES and (not after or after[0] in ".,!;:?"):
            return _REPLIES[phrase], begin + size
    return None


def is_open(tokens: list[str]) -> bool:
    """Whether a question asks for an answer: not if it is rhetorical, or ends in "wasn't it?"."""
    tag = tokens[-4:-3] == [","] and tokens[-3].removesuffix("n't") in _AUXILIARIES
    return not tag and not expects_no(tokens) and as_statement(tokens) is None


def expects_no(tokens: list[str]) -> bool:
    """Whether a question asserts the opposite: "who could resist?", "why would anyone watch?"."""
    return (
        tokens[0] in ("who", "how", "why")
        and tokens[1:2] != []
        and tokens[1].removesuffix("n't") in _MODALS
        and (tokens[0] != "why" or tokens[1] in ("would", "should", "wouldn't", "shouldn't"))
    )


def as_denial(tokens: list[str]) -> list[str]:
    """The statement in a question that expects "no": "how could you dislike it?" gives "not dislike
    it", and "how could you not love it?" gives "love it"."""
    rest = tokens[3:] if tokens[2:3] and tokens[2] in _ANYONE else tokens[2:]
    negated = tokens[1].endswith("n't") or rest[:1] == ["not"]
    return rest[rest[0] == "not" :] if negated else ["not", *rest]


def as_statement(tokens: list[str]) -> list[str] | None:
    """The statement in a question that asserts what it asks, like "wasn't it lovely?" or "how dull
    was that?"; None for a question that leaves its answer open."""
    first = tokens[0]
    if tokens[:5] == ["am", "i", "the", "only", "one"]:
        return tokens[5:]
    if first.removesuffix("n't") in _AUXILIARIES and first.endswith("n't"):
        return [first.removesuffix("n't"), *tokens[1:]]
    if first in _AUXILIARIES and tokens[2:3] == ["not"]:
        return [*tokens[:2], *tokens[3:]]
    if first.removesuffix("'s") in _WH_WORDS or "or" in tokens[-3:]:  # "dull or what?"
        return tokens
    return None
