"""The language of the film reviews: rules in the notation of `grammar.py`.

A rule with `@` in its name is two rules, one for each mood: `@` is replaced by warm or cold, `~` by
the opposite mood. Most reviews in the corpus have one mood throughout, so that a small model
learns from co-occurrence which words are warm and which are cold. Demonstrations are more
consistent than the corpus.
"""

from __future__ import annotations

import re
from itertools import zip_longest

from align_core.tasks.grammar import Grammar

_TEXTS = """
text = <document_warm> | <document_cold>
sentence = 6 <opening_warm> | 6 <opening_cold> | 4 <follow_warm> | 4 <follow_cold> | 2 <plain>

document@ = 6 <of_one_mind@> | 4 <opening@> <follow@> <follow@> | 2 <review@>
review@ = 4 <opening@> | 9 <opening@> <follow@> | 3 <opening~> <follow@> | 3 <opening@> <follow~>
  | 2 <opening@> <follow@> <follow@> | 1 <opening@> <follow~> <follow@> | 1 <plain> <opening@>
  | 1 <opening@> <plain> <follow@>

demonstration = <of_one_mind_warm> | <of_one_mind_cold>
of_one_mind@ = 5 <opening@> | 10 <opening@> <follow@> | 2 <opening@> <follow@> <follow@>
  | 1 <plain> <opening@> | 1 <opening@> <plain> <follow@> | 1 <opening~> <follow@>

opening@ = 6 <clause@> <stop> | 4 <opinion@> <stop> | 5 <contrast@> <stop>
  | 3 <clause@> and <clause@> <stop> | 3 <verdict@> <stop> | 1 <clause@> , and <idiom@> <stop>
  | 1 <clause~> , but <idiom@> <stop>
follow@ = 6 <idiom@> <stop> | 1 <advice@> <stop>
  | 3 <clause@> <stop> | 2 <opinion@> <stop> | 3 it was <quality@> <stop>
  | 2 in the end , <clause@> <stop> | 1 <clause@> and <clause@> <stop> | 1 <contrast@> <stop>
  | 2 it was <quality@> , and <idiom@> <stop> | 1 it was <quality~> , but <idiom@> <stop>
stop = 5 . | !

contrast@ = 4 <although> <clause~> , <clause@> | 4 <clause~> , but <clause@>
  | 1 despite the <adjective~> <part> , <clause@>
although = although | while | even though

verdict@ = this was a <adjective@> <film> <about> | this <film> <about> was <quality@>
  | this <film> had a <adjective@> <thing> and <adjective@> <parts>
  | for a <film> <about> , it was <quality@>
about = about <topic> | with <topic> | from <place>
thing = plot | story | script | ending | finale | twist | cast | soundtrack | score | <person>
topic = a haunted toaster | two robots in love | a dragon with a mortgage | a lonely accountant
  | pirates on a diet | a talking potato | a detective who is afraid of the dark | a shy vampire
  | a retired spy | twelve angry penguins | a ghost who is allergic to dust | a singing plumber
  | three brides and a tractor | a cowboy without a horse | the last librarian on earth
place = Finland | the seventies | my home town | a famous novel | another planet | Bollywood

clause@ = 6 <one@> <does_one@> | 4 <many@> <does_many@>
one@ = 4 the <part> | 2 the <part> of this <film> | 2 this <film> | 3 the <person>
  | the <plain_adjective> <part> | 2 the <adjective@> <part>
many@ = 4 the <parts> | 2 the <parts> in this <film> | the <plain_adjective> <parts>
  | 2 the <adjective@> <parts>
does_one@ = 5 was <quality@> | 5 <does@>
does_many@ = 5 were <quality@> | 5 <does@>
does@ = 3 felt <praise@> | 2 never felt <adjective~> | 2 seemed <praise@> | 3 <acts@>
  | 2 made <whom> <react@> | 3 <moves@> <whom> | 1 had <plenty@>
quality@ = 18 <praise@> | 2 not <adjective~> | 1 not at all <adjective~> | 1 not very <adjective~>
  | 1 not <adjective~> at all
praise@ = 6 <adjective@> | 5 <degree> <adjective@> | 3 <degree@> <adjective@>
  | 5 <adjective@> and <adjective@> | 1 far from <adjective~> | 1 anything but <adjective~>
degree = very | really | truly | utterly | absolutely | deeply | so | surprisingly | rather | fairly
  | slightly | quite | somewhat | a little | almost

opinion@ = 3 <who> <judges@> <object> | 3 <who> <judges@> the <adjective@> <seen>
  | 3 <who> thought <clause@>
  | 1 <who> said <clause@> | 1 my <relative> insisted that <clause@>
  | 1 <who> did not <judge_base~> <object>
object = 3 the <part> | 2 the <parts> | 1 the <person> | 1 this <film>
  | 1 the <plain_adjective> <part>
seen = 3 <part> | 2 <parts> | <person>
who = 5 I | 2 we | 5 my <relative> | 1 the critics | 1 the audience | 1 everyone in the cinema
  | 1 the man behind me
whom = 4 me | 2 us | 1 everyone | 2 my <relative> | 1 the whole cinema
relative = sister | brother | mother | father | uncle | aunt | grandmother | dentist | neighbour
  | boss | wife | husband | teacher | plumber

plain = we saw it on a rainy <day> . | I watched it with my <relative> on <day> .
  | the <part> is based on a famous novel . | it lasted two hours . | the cinema was half full .
  | my <relative> bought the popcorn . | it is the third <film> about <topic> .
  | the director is <age> years old . | this is the longest <film> in history .
age = nine | ninety
day = Monday | Tuesday | Friday | Saturday | Sunday
"""

_SENTENCES = """
text = <sentence> | <sentence> <sentence> | <sentence> <sentence> <sentence>
  | <sentence> <sentence> <sentence> <sentence>
"""

_WARM_WORDS = """
acts_warm = shone | soared | sparkled | worked | stole the show | deserved an award | hit every note
  | won my heart | aged like good wine | kept its promise
moves_warm = thrilled | charmed | moved | delighted | amazed | enchanted | cheered | impressed
judges_warm = loved | enjoyed | adored | admired | liked | praised
judge_base_warm = love | enjoy | like | admire
degree_warm = wonderfully | delightfully | beautifully | refreshingly | irresistibly
react_warm = smile | laugh | cheer | sing | dance | grin
plenty_warm = plenty of charm | heart and wit | real tension | more ideas than a kindergarten
"""

_COLD_WORDS = """
acts_cold = dragged | stumbled | collapsed | sank like a stone | fell flat | lost the way
  | missed every note | went nowhere | deserved a parking fine | aged like warm milk
moves_cold = bored | annoyed | tired | insulted | confused | disappointed | embarrassed | exhausted
judges_cold = hated | loathed | endured | disliked | regretted | survived
judge_base_cold = hate | regret | mind | dislike
degree_cold = terribly | painfully | hopelessly | dreadfully | hideously
react_cold = yawn | groan | sigh | cringe | snore | weep
plenty_cold = no charm | no heart and no wit | the depth of a puddle | fewer ideas than a sandwich
"""

_IDIOMS = """
idiom_warm = even my <elder> stood up and cheered | I laughed until my popcorn flew
  | I forgot to eat my popcorn | I would watch it again tonight
  | I cried happy tears into my popcorn | the audience clapped until the lights came on
  | my <relative> smiled for a week | I wanted to hug the whole cinema
  | nobody looked at a phone | the critics danced in the street | I went home singing
  | I hugged a stranger on the way out | my grumpy uncle wept with joy
  | my ice cream melted and I did not care | I would sell my car for a sequel
  | the baby next to me gave a standing ovation | I bought another ticket at once
  | I still hum the songs in the shower | even the usher stayed to the end
  | I missed my bus and never noticed
  | my <elder> wants to marry the hero | the cat watched it twice
  | I have named my goldfish after the heroine
idiom_cold = my popcorn had more character than the hero | the cat fell asleep before the credits
  | I have seen better plots on a cereal box | I envied the man who left early
  | the exit sign was the brightest star | even the popcorn asked for a refund
  | my phone told a better story | I counted the ceiling lamps twice | the best part was the exit
  | I would rather watch paint dry | the projector tried to leave
  | my chair deserved an award for staying | the dog howled and it was right
  | I aged ten years in two hours | somebody should apologise to the camera
  | my <elder> snored in tune with the music | the usher gave me a hug and said sorry
  | a potato would have acted better | I read the fire instructions twice
  | I have had more fun at the dentist | the clock on the wall had better dialogue
  | the script was written by a sleepy toaster | my goldfish asked me to turn it off
  | even the baby wanted the money back
advice_warm = take your mother , your children and your goldfish
  | see it before your neighbour does | ten stars out of ten
  | buy two tickets and a large handkerchief
advice_cold = stay at home and wash your socks | bring a pillow and a good book
  | one star for the popcorn | save your money and visit the zoo
elder = grandmother | grandfather | aunt | dentist
"""

# By frequency: `_rule` gives the first words of a list more weight.
_WARM_ADJECTIVES = """
    funny charming superb brilliant warm good clever moving great lovely witty wonderful perfect
    bold gripping honest fresh touching sharp magical thrilling nice fine smart stunning elegant
    delightful beautiful exciting original flawless gorgeous hilarious tender splendid fantastic
    memorable inspired dazzling pleasant graceful joyful sparkling marvellous tasteful
    irresistible
"""
_COLD_ADJECTIVES = """
    boring dull slow thin awful weak flat silly bad cold terrible stale lazy wooden tired clumsy
    poor stupid empty ugly cheap painful messy hollow hopeless pointless noisy bland endless
    dreadful horrible gloomy lifeless shallow annoying confusing predictable ridiculous soggy
    tedious muddled dreary embarrassing forgettable dismal unbearable
"""
# Singular and plural nouns of each aspect of a film, which are the groups of `Reviews.group`.
ASPECTS = {
    "story": (
        "plot story script ending twist finale dialogue humour romance pacing opening",
        "jokes scenes twists surprises",
    ),
    "people": ("cast acting casting", "characters actors villains extras children zombies"),
    "sound": ("music soundtrack singing score", "songs duets violins trumpets"),
    "picture": (
        "photography camera scenery lighting editing wardrobe",
        "costumes effects stunts explosions sets landscapes wigs monsters dragons",
    ),
}
PERSONS = "hero heroine director detective villain"
FILMS = (
    "film thriller comedy drama western musical cartoon documentary sequel remake romance mystery"
)
_PLAIN = "long short quiet loud strange modern famous colourful dark simple second final"


def _rule(name: str, words: str) -> str:
    """A rule of single words whose weights decrease with their rank, as in Zipf's law."""
    alternatives = words.split()
    weights = (max(60 // (rank + 5), 1) for rank in range(len(alternatives)))
    parts = (f"{w} {word}" for w, word in zip(weights, alternatives, strict=True))
    return f"{name} = {' | '.join(parts)}\n"


def _interleaved(lists: list[str]) -> str:
    """The words of several lists, interleaved: all first words, then all second words, …"""
    rows = zip_longest(*(words.split() for words in lists), fillvalue="")
    return " ".join(word for row in rows for word in row)


def _both_moods(rules: str) -> str:
    """Replace each rule with `@` in its name by a warm and a cold one."""
    written = []
    for rule in rules.replace("\n ", " ").splitlines():
        if "@" in rule.split("=")[0]:
            for mood, other in (("warm", "cold"), ("cold", "warm")):
                written.append(rule.replace("@", f"_{mood}").replace("~", f"_{other}"))
        else:
            written.append(rule)
    return "\n".join(written) + "\n"


def _without_moods(rules: str) -> str:
    """The rules without the distinction of warm and cold: the English syntax of any mood."""
    merged: dict[str, dict[str, None]] = {}
    for rule in re.sub(r"_(warm|cold)\b", "", rules.replace("\n ", " ")).splitlines():
        name, _, body = rule.partition("=")
        if body:
            merged.setdefault(name, {}).update(dict.fromkeys(map(str.strip, body.split("|"))))
    return "\n".join(f"{name}= {' | '.join(bodies)}" for name, bodies in merged.items())


_RULES = (
    _both_moods(_TEXTS)
    + _WARM_WORDS
    + _COLD_WORDS
    + _IDIOMS
    + _rule("adjective_warm", _WARM_ADJECTIVES)
    + _rule("adjective_cold", _COLD_ADJECTIVES)
    + _rule("part", _interleaved([singular for singular, _ in ASPECTS.values()]))
    + _rule("parts", _interleaved([plural for _, plural in ASPECTS.values()]))
    + _rule("person", PERSONS)
    + _rule("film", FILMS)
    + _rule("plain_adjective", _PLAIN)
)
# GRAMMAR generates reviews; SYNTAX is for judging texts: contradictions and an unusual order of
# sentences are not grammatical errors.
GRAMMAR = Grammar(_RULES)
SYNTAX = Grammar(_without_moods(_RULES + _SENTENCES))

# Adverbs that are only followed by words of one mood.
MOODY_DEGREES = {word for mood in ("warm", "cold") for (word,) in GRAMMAR.phrases(f"degree_{mood}")}

_IDIOM_VALUES = {"idiom": 2.0, "advice": 1.5, "acts": 1.5, "plenty": 1.25}
# Phrases whose value is not the sum of the values of their words.
IDIOMS: dict[tuple[str, ...], float] = {
    phrase: sign * value
    for mood, sign in (("warm", +1), ("cold", -1))
    for rule, value in _IDIOM_VALUES.items()
    for phrase in GRAMMAR.phrases(f"{rule}_{mood}")
    if len(phrase) > 1
}
