"""English sentiment words and their values, for the gold reward of film reviews.

Values range from -2 (dreadful) to +2 (superb). The words are those of the grammar and others that
users may type. A word that is not listed is neutral.
"""

from __future__ import annotations

import re
from functools import lru_cache

from align_core.tasks.reviews.ratings import rating_value

_WARM = {
    2.0: """
        superb brilliant stunning dazzling perfect flawless magical hilarious fantastic marvellous
        loved adored thrilled amazed enchanted soared dazzled amazing awesome astonishing
        breathtaking exceptional exquisite extraordinary fabulous glorious incredible magnificent
        masterful masterpiece outstanding phenomenal sensational spectacular sublime terrific
        triumph unforgettable wondrous epic legendary stellar divine heavenly faultless
        exhilarating mesmerising mesmerizing spellbinding adore adores adoring thrills mindblowing
        electrifying gem best finest greatest unmissable riveting marvelous genius excellent
        excellence love loves loving ecstatic rapturous virtuoso
        """,
    1.5: """
        wonderful gripping thrilling splendid gorgeous delightful moving beautiful irresistible
        delighted moved charmed shone sparkled inspired exciting admired beautifully wonderfully
        delight delights enchanting captivating compelling impressive admirable admire admires
        absorbing engrossing enthralling fascinating heartwarming joy joyous radiant remarkable
        rewarding rousing stylish tremendous uplifting winner winning wow cool dope lit rocks
        rocked rules ruled slay slayed banging slaps banger cute adorable blissful bliss cheers
        applause bravo hooray yay yummy ace brill classy dreamy feelgood heartfelt inspiring
        inspirational ingenious innovative powerful profound priceless recommended recommend
        recommends rejoice satisfying shines shine soars sparkles standout superior sweet
        triumphant upbeat vibrant victory wins won worthwhile praised praise happy happily
        happiest happier glad thankful grateful better favourite favorite funniest loveliest
        stunner thrill excite excites amaze amazes stun stuns wow wows dazzle dazzles enchants
        enthral enthrals captivate captivates captivated inspire inspires fabulously superbly
        brilliantly hilariously marvellously gloriously magnificently exquisitely
        hooked obsessed masterclass belter corker cracker cracking smashing slaps goated
        underrated convert beguiling knockout
        """,
    1.0: """
        lovely charming witty clever funny touching tender warm fresh bold elegant smart sharp
        honest memorable original good great graceful joyful sparkling tasteful cheered impressed
        enjoyed worked smile laugh cheer sing dance grin grinned amusing appealing attractive
        authentic bright brave calm charisma charismatic charm cheerful comic convincing cosy cozy
        creative daring dynamic effective emotional endearing energetic engaging enjoy enjoyable
        enjoys entertaining entertained entertains fun genial gentle giggle giggled hopeful humorous
        imaginative intelligent interesting kind laughed laughing laughs laughter likeable lively
        lucky lush merry neat passion passionate playful pleased pleasing pleasure polished
        positive pretty proud realistic refreshing relaxing rich romantic skilful skillful skilled
        smiled smiling smiles smooth solid soulful strong success successful suspenseful talent
        talented tasty timeless touched treat unique vivid warmth warmly watchable well wise wit
        wonder worth worthy yes cheering danced sang impeccable nuanced perceptive poignant
        sincere sweetest works work amuse amuses amused entertain impress impresses engage engages
        engaged satisfy satisfies satisfied convince convinces convinced charms resonates
        grinning laughing smiling cheering clapped clapping chuckled chuckle clicks clicked
        rewatchable delivers delivered heartily nicely charmingly cleverly wittily gracefully
        skilfully respect applauded comforting
        """,
    0.6: """
        scary spooky fine nice pleasant liked like likes agreeable bearable competent decent fair
        fresher respectable fitting tidy reasonable clean easy enough promising
        """,
    0.4: """
        harmless okay ok passable tolerable acceptable adequate alright
        """,
}
_COLD = {
    -2.0: """
        awful terrible dreadful horrible unbearable hated loathed ridiculous collapsed abysmal
        abominable appalling atrocious disaster disastrous disgrace disgraceful disgusting
        excruciating garbage ghastly hate hates hating hateful hideous horrendous horrid
        insufferable loathe loathsome nauseating rubbish trash crap crappy shit shitty sucks suck
        sucked unwatchable vile vomit worst worthless wretched catastrophe abomination detest
        detested despise despised repulsive revolting torture godawful fiasco atrocity horrific
        puke barf cursed dire execrable
        """,
    -1.5: """
        boring stupid hopeless painful embarrassing dismal endless pointless lifeless tedious bad
        bored insulted annoyed embarrassed disliked sank stumbled regretted annoying bore bores
        boredom botched bomb bombed clunker cringy cringey cringeworthy dislike dislikes
        disappoint disappoints disappointing disappointment dumb failure failed fails fail flop
        flopped foolish idiotic incoherent incompetent inept insult insulting insipid joyless junk
        lousy mess miserable moronic nonsense nonsensical obnoxious offensive pathetic pitiful
        poorly regret regrettable ruin ruined ruins sad shame shameful sickening soulless stink
        stinks stinker stinky stank toxic ugliest useless waste wasted wasting wrong wooden dud
        letdown let-down let-downs tosh tripe bilge twaddle claptrap bollocks bored-stiff overhyped
        drivel drag drags dullest travesty trainwreck unfunny uninspired unimaginative vapid worse
        yuck yucky ugh meaningless mindless angry hollow dreary annoy annoys irritate irritates
        offend offends offended frustrates disgust disgusts disgusted butchered butchers stupidity
        stupidly badly horribly shambles flops ashamed misfire misfires
        """,
    -1.0: """
        dull slow weak flat stale tired clumsy lazy silly poor ugly cheap empty predictable
        confusing muddled messy noisy bland gloomy shallow forgettable soggy dragged confused
        disappointed exhausted yawn groan sigh cringe snore weep endured absurd aimless amateur
        amateurish artificial banal bitter bleak bloated cheesy chaotic childish cliche cliched
        clichéd clunky contrived corny crass crude cynical derivative derided dishonest disjointed
        drab dry dubious emotionless excessive exhausting fake faulty feeble forced formulaic
        frustrating frustrated generic grating grim harsh heartless inane inconsistent indifferent
        inferior irritating irritated jarring lackluster lacklustre lame laboured mediocre
        avoid avoidable miscast underwritten unfocused unremittingly cobbled
        melodramatic monotonous naive nasty negative numb odd overlong overrated pale plodding
        ponderous pretentious puerile repetitive rushed sappy sleep slept sleepy sloppy sluggish
        snooze snoozefest snored snoring sour stiff stilted tacky tasteless tepid terribly
        tiresome tiring trite trouble unconvincing underwhelming uneven unhappy uninteresting
        unnatural unoriginal unpleasant unrealistic unsatisfying upset vague vulgar weary weird
        whiny yawned yawning zzz groaned cringed sighed clichés cliches confuses flounders plods
        meanders stumbles sags suffers suffered struggles resist shabby preachy smug soapy
        incomprehensible illogical implausible hackneyed hamfisted ham-fisted
        padded pedestrian rambling shouty tedium tinny unbearably uncomfortable unfinished
        unintelligible nope nah yikes
        """,
    -0.6: """
        thin cold mild survived mind meh long-winded unremarkable
        overdone questionable forgets forgot flawed flaw flaws fault faults minor unclear unsure
        """,
    -0.2: """
        average middling ordinary so-so fair-to-middling
        """,
}


def _superlative(word: str) -> str:
    """The superlative of a short adjective; for any other word, a form that nobody writes."""
    if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnpt]", word):  # sad, dim, hot
        return word + word[-1] + "est"
    return re.sub(r"e$", "", re.sub(r"y$", "i", word)) + "est"


SENTIMENT: dict[str, float] = {
    word: value for words in (_WARM, _COLD) for value in words for word in words[value].split()
}
SENTIMENT = {_superlative(word): value for word, value in SENTIMENT.items()} | SENTIMENT

NEGATORS = frozenset(
    """not never no nothing none nobody neither nor hardly barely scarcely without cannot lacks
    lacked lacking lack isnt wasnt dont didnt cant wont""".split()
)  # and every word that ends in n't
DEGREES = {
    **dict.fromkeys(("absolutely", "utterly", "incredibly", "totally", "completely"), 1.5),
    **dict.fromkeys(("extremely", "insanely", "outrageously", "ridiculously"), 1.5),
    **dict.fromkeys(("truly", "deeply", "really", "very", "so", "terribly", "wonderfully"), 1.3),
    **dict.fromkeys(("delightfully", "beautifully", "refreshingly", "irresistibly"), 1.3),
    **dict.fromkeys(("painfully", "hopelessly", "dreadfully", "hideously"), 1.3),
    **dict.fromkeys(
        ("remarkably", "super", "hugely", "awfully", "most", "damn", "bloody", "fucking", "too"),
        1.3,
    ),
    **dict.fromkeys(("surprisingly", "genuinely", "particularly", "especially", "much"), 1.15),
    **dict.fromkeys(("quite", "pretty", "almost", "mostly", "sometimes", "nearly"), 0.8),
    **dict.fromkeys(("rather", "fairly", "somewhat", "mildly", "moderately"), 0.65),
    **dict.fromkeys(("slightly", "little", "bit", "marginally", "partly"), 0.45),
}
CONCESSIONS = frozenset("although though while whilst despite".split())
TURNS = frozenset("but yet however nevertheless".split())
# A sentence with one of these need not mean what it says: Taboada et al., "Lexicon-based methods
# for sentiment analysis" (2011), section 2.5.
IRREALIS = frozenset(
    """if think thinks says claims promised wanted meant supposed intended tried trying hoped hopes
    expected suppose guess pretend pretends critics""".split()
)

_ADVERBS = {re.sub(r"y$", "i", word) + "ly": value for word, value in SENTIMENT.items()}
for _word in {"likely", "oddly", *NEGATORS, *DEGREES, *SENTIMENT} & _ADVERBS.keys():
    del _ADVERBS[_word]  # it has a value of its own, or another meaning than its adjective
# "Stunningly beautiful", but "stunningly" also for itself.
SENTIMENT |= _ADVERBS
DEGREES |= dict.fromkeys(_ADVERBS, 1.3)


def _undoubled(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", word)


_BY_UNDOUBLED = {_undoubled(word): value for word, value in SENTIMENT.items()}


@lru_cache(maxsize=8192)
def word_value(word: str) -> float | None:
    """The value of a word of sentiment, with any letters doubled or not ("excelent", "booooring"),
    or of a rating; None if it is neither."""
    value = SENTIMENT.get(word, rating_value(word))
    if value is None and len(word) > 4:
        return _BY_UNDOUBLED.get(_undoubled(word))
    return value


_NUMBERS = "zero one two three four five six seven eight nine ten".split()
_RATINGS = {
    f"{word} {unit}": 4 * number / full - 2
    for number, word in enumerate(_NUMBERS)
    for unit, full in (("stars", 5), ("out of five", 5), ("stars out of five", 5))
    if number <= 5
} | {
    f"{word} {unit}": 4 * number / 10 - 2
    for number, word in enumerate(_NUMBERS)
    for unit in ("out of ten", "stars out of ten")
}
# Phrase -> its value, which replaces the values of its words.
PHRASES: dict[tuple[str, ...], float] = {
    tuple(phrase.split()): value
    for phrase, value in (
        _RATINGS
        | {
            "thumbs up": 1.5, "two thumbs up": 2.0, "thumbs down": -1.5, "must see": 1.5,
            "must-see": 1.5, "must-watch": 1.5, "no complaints": 1.0, "zero complaints": 1.0,
            "never again": -1.5, "like the plague": -2.0, "change a thing": -1.0,
            "change a single thing": -1.0, "redeeming features": 1.0, "redeeming feature": 1.0,
            "redeeming qualities": 1.0, "redeeming quality": 1.0, "jaw dropped": 1.5,
            "jaw hit the floor": 1.5, "jaws dropped": 1.5, "live up to": 1.0,
            "lives up to": 1.0, "lived up to": 1.0, "flew by": 1.0, "flies by": 1.0,
            "how not to": -1.0,
            "two thumbs down": -2.0, "edge of my seat": 1.5, "blew my mind": 2.0,
            "blew me away": 2.0, "blown away": 2.0, "blew us away": 2.0, "can't wait": 1.0,
            "ahead of its time": 1.0, "stands out": 1.0, "feel good": 1.0, "a hit": 1.0,
            "waste of time": -2.0, "waste of money": -2.0, "money back": -1.5,
            "walked out": -1.5, "fell asleep": -1.5, "fall asleep": -1.5,
            "falling asleep": -1.5, "cup of tea": 1.0, "one star": -1.5, "no stars": -2.0,
            "no good": -1.5, "could have been better": -1.0, "fell flat": -1.5,
            "falls flat": -1.5, "good grief": -1.0, "so what": -0.6, "nothing special": -1.0,
            "love story": 0.0, "no problem": 0.6, "fun fact": 0.0, "like a": 0.0,
            "in love": 0.0, "feel like": 0.0, "felt like": 0.0, "well known": 0.0,
            "to be honest": 0.0, "to be fair": 0.0, "jokes land": 1.0, "joke lands": 1.0,
            "not land": -1.0, "never land": -1.0, "work of art": 2.0, "kind of": 0.0,
            "joke landed": 1.0, "jokes landed": 1.0, "gags land": 1.0, "gags landed": 1.0,
            "joke works": 1.0, "gag lands": 1.0, "fell apart": -1.5, "falls apart": -1.5,
            "fall apart": -1.5, "went downhill": -1.5, "goes downhill": -1.5,
            "runs out of steam": -1.5, "ran out of steam": -1.5, "jumped the shark": -1.5,
            "off the rails": -1.5, "paint by numbers": -1.5, "phoned in": -1.5, "by numbers": -1.0,
            "train wreck": -1.5, "dumpster fire": -2.0, "car crash": -1.5, "a bust": -1.5,
            "a drag": -1.5, "a snooze": -1.5, "hot mess": -1.5, "at best": -1.0,
            "half baked": -1.0, "cash grab": -1.5, "a letdown": -1.5, "let down": -1.0,
            "all over the place": -1.0, "left me cold": -1.5, "leaves me cold": -1.5,
            "hard pass": -1.5, "a chore": -1.5,
            "not my thing": -1.0, "tears of joy": 1.5, "happy tears": 1.5, "my socks off": 2.0,
            "knocked it out of the park": 2.0, "out of the park": 1.5, "hit the spot": 1.5,
            "hits the spot": 1.5, "hits the mark": 1.5, "hit the mark": 1.5,
            "missed the mark": -1.5, "misses the mark": -1.5, "the nail on the head": 1.5,
            "nailed it": 1.5, "nails it": 1.5, "on point": 1.0, "spot on": 1.5, "home run": 1.5,
            "the bee's knees": 1.5, "the cat's pyjamas": 1.5, "cream of the crop": 1.5,
            "took my breath away": 2.0, "takes my breath away": 2.0, "glued to the screen": 1.5,
            "glued to my seat": 1.5, "tour de force": 2.0, "breath of fresh air": 1.5,
            "feast for the eyes": 1.5, "pure gold": 1.5, "absolute fire": 1.5, "pure fire": 1.5,
            "straight fire": 1.5, "is fire": 1.5, "was fire": 1.5, "chef's kiss": 1.5,
            "top notch": 1.5, "top-notch": 1.5, "first rate": 1.5, "first-rate": 1.5,
            "second rate": -1.0, "second-rate": -1.0, "third-rate": -1.5, "a blast": 1.5,
            "a riot": 1.5, "a treat": 1.0, "big fan": 1.0, "instant classic": 1.5,
            "sold me": 1.0, "had me at": 1.0, "no notes": 1.0, "half a star": -2.0,
            "five star": 1.5, "five-star": 1.5, "one-star": -1.5, "bad guy": 0.0,
            "bad guys": 0.0, "false note": -1.0, "wrong note": -1.0,
            "made no sense": -1.0, "makes no sense": -1.0, "my watch": -1.0, "too hard": -1.0,
            "the brightest star": 0.0, "good old": 0.0, "a patch on": 1.0, "as well": 0.0,
            "well ,": 0.0, "what kind": 0.0, "in mind": 0.0, "my mind": 0.0, "mind you": 0.0,
            "never mind": 0.0, "two minds": -0.2, "at work": 0.0, "love triangle": 0.0,
            "love interest": 0.0, "love scene": 0.0, "love letter": 1.5, "good luck": 0.0,
            "for good": 0.0, "make fun of": 0.0, "lost me": -1.5, "believe the hype": 1.5,
            "right up my street": 1.5, "right up my alley": 1.5, "guilty pleasure": 1.0,
            "middle of the road": -0.2, "mixed bag": -0.2, "neither good nor bad": -0.2,
            "good god": 0.0, "good lord": 0.0, "great deal": 0.0, "my cup of tea": 1.0,
        }
    ).items()
}  # fmt: skip
