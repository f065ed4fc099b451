"""Constructions of English in which a word of praise or blame does not mean what it says alone.

The notation: words in a row; `a|b` is either; `_` joins words of one alternative; a trailing `?`
makes a word optional; `**` is any zero to three words; `<name>` is a list in `_LISTS`. Most
are in Quirk et al., "A Comprehensive Grammar of the English Language" (1985): negation,
hypothetical clauses, comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

NEGATION = -0.75  # "not boring" is warm, but less so than "gripping"
UNREAL = -0.6  # "should have been gripping" is cold

_LISTS = {
    "never": "never|not|hardly|rarely|seldom|scarcely|haven't|hasn't|hadn't|havent|hasnt|hadnt",
    "seen": "seen|watched|heard|read|met|had|experienced|known|witnessed|encountered|found|"
    "come_across",
    "cannot": "could_not|couldn't|couldnt|can_not|cannot|can't|cant|could_hardly|can_hardly|"
    "could_never|can_never|nothing_could|nobody_could|no_one_could",
    "be": "be|been|have_been|get|have_got|go|have_gone|do|have_done|ask_for|have_asked_for|"
    "wish_for|have_wished_for|hope_for|have_hoped_for|imagine|have_imagined|find|have_found|feel|\
have_felt",
    "better": "better|finer|funnier|greater|wittier|lovelier|happier|smarter|cleverer|prettier|"
    "sweeter|stronger|nicer|warmer|wiser|livelier|classier|improved|bettered|topped|beaten",
    "worse": "worse|duller|sillier|poorer|weaker|uglier|dumber|emptier|clumsier|lazier|flatter|"
    "cheaper|sadder|crueller|lamer|staler|drearier|shoddier",
    "have": "have|has|i've|we've|i_have|ive|had",
    "not": "not|never|n't|didn't|don't|doesn't|wouldn't|did_not|do_not|does_not|would_not|hadn't|"
    "didnt|dont|doesnt|wouldnt",
    "end": "end|finish|stop|be_over|ended|finished|was_over|is_over|ends|had_to_end|has_to_end",
    "ended": "ended|finished|was_over|is_over|ends|finally_ended|was_finally_over|had_ended",
    "anyone": "anyone|anybody|you|one|we|i|someone|somebody|people",
    "nobody": "nobody|no_one|none|noone",
    "it": "it|this|that|this_film|this_movie|the_film|the_movie|this_one|them",
    "fail": "fail|fails|failed|failing",
    "dull_thing": "paint|paint_dry|paint_drying|grass_grow|a_brick|a_plank|a_puddle|a_root_canal|"
    "a_funeral|a_tax_return|a_phone_book|a_toothache|a_headache|a_wet_*|a_dead_*|a_cold_*|"
    "a_damp_*|a_trip_to_the_dentist|a_traffic_jam|dishwater|a_parking_fine|a_stone|drying_paint",
    "watching": "watching|seeing|finding|learning",
}

# Constructions with a value of their own, whatever words are in them.
_VALUES = {
    # A comparative that is denied is a superlative: nothing better exists.
    2.0: """
        <never> ever? <seen> ** <better>
        <cannot> <be> any|much|it|a|anything|something? ** <better>
        <never> been|felt|looked|sounded any? <better>
        never|rarely <better>
        there is|was|has_been no|nothing <better>
        no|nothing|nobody|no_one ** is|was|has_been|does|did|could|can|comes_close ** <better>
        nothing|nobody|no_one|none <better>
        <never> find|see|hear|meet|get|watch|read ** <better>
        <never> laughed|cried|smiled|cheered ** so|as|more|harder
        lack|lacks|lacked nothing
        no_other ** as|so good|great|funny|moving
        <not> get|gets|got any? <better> than <it>|the
        hard|difficult|impossible|tough to imagine|find|think_of|name|picture ** <better>
        as good as it gets|got
        <cannot> have? ask|asked|wish|wished|hope|hoped for? anything? more
        <cannot> recommend|praise|rate|thank <it>? ** enough|more
        second to none
        without equal|rival|peer|parallel
        like no other
        nothing else? comes_close|compares|like_it
        one of a kind
    """,
    1.5: """
        what is|was not to love|like|enjoy|adore
        what's not to love|like|enjoy|adore
        <cannot> fault|faulted|beat|top|put_it_down|put_this_down|look_away|take_my_eyes_off
        <cannot> get enough
        nothing|little left? to be? desire|desired|complain_about|criticise|fault
        left|leave|leaves|leaving nothing|little to be? desire|desired
        hated|hate|sad|sorry|disappointed|regretted|gutted|heartbroken that|when|because <it> \
<end>
        hated|hate|sad|sorry|disappointed to see|watch|let|leave <it>? <end>|go|leave?
        <not> want|wanted <it> to <end>
        wish|wished <it> would|had <not> <end>
        wish|wished <it> was|were|had_been longer
        over too soon|quickly|fast
        ended too soon|quickly|early
        <not> miss <it>
        nobody|no_one|none should|must|may miss
        not to be missed
        too good to miss
        so bad that? it|it's is|was|it's? almost? good|great|brilliant|funny|hilarious
        <cannot> have? agree|agreed more
        a must
        must watch|see|have
        hard|tough|impossible|difficult to beat|top|fault|resist
        gave|give|gives me goosebumps|chills
        at the edge of my seat
        could watch|have_watched|see|have_seen <it> ** again|forever|for_hours|all_day|all_night
        made|makes my day|week|year|evening
        worth every|each penny|minute|cent|second
        <not> a_single? dull|boring|wasted|slow|bad|weak moment|minute|second|scene
        hats off
        chef's kiss
        in a league|class of its own
    """,
    1.0: """
        better than expected|i_expected|i_feared|i_thought|we_expected|i_had_expected|i_hoped
        exceeded|exceeds|surpassed|beat ** expectations
        <not> half bad
        like|liked it|this|them? a_lot|very_much
    """,
    0.6: """
        could have been <worse>
        <have> seen|had|known|heard|watched <worse>
        no <worse> than
    """,
    -0.6: """
        better than nothing
        too long|short|loud|late|much|little|many
    """,
    -1.0: """
        could|should|would|might have been <better>
        <not> get|gets|got any|much? <better>
        deserve|deserved|deserves|expected|expect|hoped_for|want|wanted <better>
        <have> seen|had|known|heard|read|watched <better>
        not any|much|really? <better>
        no|hardly|barely|little <better> than
        nothing <better> to do
        better things|uses|ways to? do|spend|for?
        can|could|should|must do|have_done ** <better>
        better off
        too * for its|his|her|their|your own good
        wanted|tried|hoped|longed to love|like|enjoy|laugh|smile|cheer
        too clever by half
        worse than expected|i_expected|i_feared|i_thought
        <not> live|lived up to
        below|beneath expectations|average|par
        give it a miss
        lost interest
        neither here nor there
        big deal
    """,
    -1.5: """
        failed|fails|fail at everything|every
        left|leaves|leaving|leave much|a_lot|lots|plenty|something|everything|a_great_deal to \
be? desire|desired
        <cannot> wait for|until|till|to <it>? to? <end>|leave|go|get_out|escape
        <cannot> stand|bear|finish|stomach|endure|take|tolerate|watch|sit_through|get_through
        <cannot> have? care|cared less
        happy|glad|relieved|thankful|grateful|pleased when|that|once|to_see|because <it> \
<ended>|end
        best|nicest|only_good|finest|greatest|one_good part|thing|moment|bit|scene|minute of|\
about|in? <it>? is|was when|that|how <it> <ended>
        best|nicest|only_good|finest|greatest|one_good part|thing|moment|bit|scene of|about|\
in? <it>? is|was the|my|a? ** credits|popcorn|trailer|poster|end|ending_credits|door|nap|\
interval|silence|ice_cream|way_home
        highlight of? ** is|was the|my ** credits|popcorn|trailer|poster|end|door|nap|\
interval|ice_cream
        as|so|about_as * as <watching>? <dull_thing>
        like watching|reading|hearing <dull_thing>
        rather|sooner watch|have|eat|go|read|clean|do|be|die|sit|stay|sleep|stare|paint|iron|\
wash <watching>?
        hours|minutes|evening|time of my|our life|lives
        never get back
        want|wants|wanted|demand|demanded|ask|asked|get|gets ** money back
        recommend <it>? only? to nobody|no_one|none|noone
        recommend <it>? only? to my|your|his|her|our worst? enemy|enemies
        recommend <it>? only? to an? insomniac|insomniacs|masochist|masochists
        save|keep your money|time|evening
        stay|keep|steer away|clear
        skip|avoid <it>
        <not> bother|waste_your
        should|must be missed|avoided|skipped
        thanks for nothing
        yeah right
        yeah , right
        oh great|joy|wonderful|brilliant
        just what i needed
        great|wonderful|fantastic|brilliant|perfect , ? another|one_more
        so much for
        good for nothing
        too good to be true
        more fun|exciting|interesting|enjoyable|entertaining to? watch|watching paint|grass
        in need of sleep
        cure for insomnia|sleeplessness
        put|puts|send|sent|sends me|us|you|everyone to|straight_to sleep
        style over substance
        regret|regretted|regrets watching|seeing|paying|buying|going
        wish|wished i|we had <not>|stayed|never
    """,
    -2.0: """
        <never> ever? <seen> ** <worse>
        <cannot> <be> any|much|it|a|anything|something? ** <worse>
        <never> been|felt|looked|sounded any? <worse>
        there is|was|has_been no|nothing <worse>
        no|nothing ** is|was|has_been|could|can|does ** <worse>
        nothing|nobody|no_one|none <worse>
        <never> find|see|hear|meet|get|watch|read ** <worse>
        <never> yawned|cringed|groaned|suffered|slept ** so|as|more|harder
        <not> get|gets|got any|much? <worse> than <it>|the
        hard|difficult|impossible|tough to imagine|find|think_of|name|picture ** <worse>
        as bad as it gets|got
        nothing|no left? to like|love|praise|enjoy|recommend
        no redeeming|saving quality|qualities|feature|features|grace
        worst ** ever
    """,
}

# Their words of negation do not negate what follows: "not without charm", "never a dull".
_AFFIRMING = """
    not only|just|merely|simply|least|without|lacking
    no doubt|wonder|question|denying|lack_of|shortage_of|end_of|less_than|stranger_to
    nothing but|short_of|less_than|if_not
    never without|lacks|lacked|stops|stopped|ceases|ceased|fails_to|failed_to|fail_to
    none other than
    <cannot> help|stop|resist|avoid|but|deny feeling|being?
    <not> lack|stop|cease|fail_to|expect_to|expect_it_to|expect_this_to|tire_of|forget|deny|\
only|just
    <never> been|felt|seen|had|laughed|cried|watched|heard|met ** so|such|as|more
    never|rarely|seldom|nowhere have|has|had|did|was|is|does|will ** so|such|as|more
    <cannot> have? ask|asked for a? more
    without a? doubt|question|exaggeration|hesitation
    <fail> to fail
    <never> <fail> to
    no less
    not to mention
    not a few
    if you like|love|enjoy|want|prefer|fancy|adore
    anyone|those|people|someone|fans who|that like|likes|love|loves|enjoy|enjoys
    nothing|little|not_a_thing i|we|you|anyone did_not|didn't|do_not|don't|could_not|couldn't|\
would_not
"""
# They negate like "not".
_NEGATING = """
    far from
    anything|everything but
    free|devoid|void|bereft of
    <fail> to
    by|in no means|way
    too * to be
    the opposite|reverse|contrary of
    lack|lacks|lacked|lacking in|of|any?
    instead of
    <nobody> would|could|can|should|will|did|has|in_their_right_mind
    <nobody> in_their_right_mind would|could|will
    <not> think|believe|say|find|feel|suppose|claim|call|consider|see|know that|how|why? ** \
was|is|were|are|it|this|anyone
    hate|hated|sorry|afraid to say|admit|report
    stop|stopped|ceased|ceases being
"""
# What follows did not come true: "it should have been funny".
_UNREAL = """
    should|could|would|might have been|felt|become|made
    was|were|is|are supposed|meant|intended|billed|advertised|sold|marketed to|as be?
    want|wanted|wants|tried|try|tries|trying|hoped|hoping|expected|expecting|longing|longed \
** to ** be
    hoped|hoping|expected|expecting|looking for a|an|some|something
    used to be
    if only it|this were|was|had_been
    pretend|pretends|pretended|pretending|claim|claims|claimed|try|tries|tried to be
    promise|promised|promises|promising to be? a?
"""


@dataclass(frozen=True)
class Construction:
    """Its meaning: a `value` of its own, or how it changes the next word of sentiment by `factor`
    (None: not at all, although it has a word of negation)."""

    length: int
    value: float = 0.0
    factor: float | None = None


class Constructions:
    """All constructions, by their first words."""

    def __init__(self) -> None:
        self._by_first: dict[str, list[tuple[re.Pattern[str], float, float | None]]] = {}
        self.words: set[str] = set()
        for value, lines in _VALUES.items():
            self._add(lines, value, None)
        self._add(_AFFIRMING, 0.0, None)
        self._add(_NEGATING, 0.0, NEGATION)
        self._add(_UNREAL, 0.0, UNREAL)

    def longest(self, tokens: list[str], position: int) -> Construction | None:
        """The longest one that starts at `position`, or None."""
        candidates = self._by_first.get(tokens[position])
        if not candidates:
            return None
        rest = " ".join(tokens[position:]) + " "
        matches = [
            Construction(len(match[0].split()), value, factor)
            for pattern, value, factor in candidates
            if (match := pattern.match(rest))
        ]
        return max(matches, key=lambda match: match.length, default=None)

    def _add(self, lines: str, value: float, factor: float | None) -> None:
        for line in lines.strip().splitlines():
            slots = line.split()
            self.words.update(w for slot in slots for words in _words(slot) for w in words.split())
            pattern = re.compile("".join(map(_slot, slots)))
            for word in set(_first_words(slots)):
                self._by_first.setdefault(word, []).append((pattern, value, factor))


def _slot(slot: str) -> str:
    """The pattern of one word of the notation, with the space behind it."""
    if slot == "**":
        return r"(?:[^\s,.!?;:]+ ){0,3}"
    optional = slot.endswith("?")
    words = "|".join(word.replace(r"\*", r"\S+") for word in map(re.escape, _words(slot)))
    return f"(?:(?:{words}) ){'?' if optional else ''}"


def _words(slot: str) -> list[str]:
    for name, words in _LISTS.items():
        slot = slot.replace(f"<{name}>", words)
    return [word.replace("_", " ") for word in slot.removesuffix("?").split("|")]


def _first_words(slots: list[str]) -> Iterator[str]:
    for slot in slots:
        yield from (word.split()[0] for word in _words(slot))
        if not slot.endswith("?"):
            return
