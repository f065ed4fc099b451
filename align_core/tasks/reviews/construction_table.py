"""The table of constructions that `constructions.py` reads, in its notation."""

from __future__ import annotations

LISTS = {
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
    "wont": "won't|wont|will_not|will_never|wouldn't|wouldnt|would_not|would_never|don't|dont|\
do_not",
    "aside": "credits|popcorn|trailer|poster|door|nap|interval|intermission|ice_cream|"
    "way_home|exit",
    "succeed": "deliver|hold|hook|engage|grab|connect|land|convince|keep|catch|capture|take_off|"
    "ignite|live_up|make_me_care|grip|draw_me_in|rise|get_going|find_its_feet|leave_a_mark|stick|"
    "leave_an_impression|make_an_impression|come_together|add_up|come_alive|come_to_life|work",
    "bored": "hate|dislike|loathe|regret|cringe|yawn|groan|be_bored|be_disappointed|be_annoyed|"
    "bored|disappointed|annoyed|underwhelmed|sleep|fall_asleep|roll_my_eyes|walk_out|leave_early",
    "ideal": "perfect|ideal|great|good|excellent|useful|recommended",
    "sleep": "sleep|asleep|nap|insomnia|sleeping_pill|drowsy",
    "written": "write|written|make|made|film|filmed|direct|directed|act|acted|do|done|tell|told|"
    "come_up_with|sing|sung|edit|edited",
}

# Constructions whose value does not depend on the words in them.
VALUES = {
    # A comparative that is denied is a superlative: nothing better exists.
    2.0: """
        hard-pressed|hard_pressed|struggle|challenge_you to find|name|think_of|imagine ** <better>
        <wont> find|hear|meet|get|watch|read|see ** <better>
        <never> ever? <seen> ** <better>
        <cannot> <be> any|much|it|a|anything|something? ** <better>
        <never> been|felt|looked|sounded any? <better>
        never|rarely <better>
        there is|was|has_been no|nothing <better>
        no|nothing|nobody|no_one ** is|was|has_been|does|did|could|can|comes_close ** <better>
        nothing|nobody|no_one|none <better>
        <never> find|see|hear|meet|get|watch|read ** <better>
        never|rarely|seldom have|had|has i|we|anyone|cinema ever? <seen> ** <better>
        never|rarely|seldom have|had i|we laughed|cried|smiled|cheered ** so|as|more|harder
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
        defy|dare you|anyone|anybody not to
        if you see|watch only? one|a_single film|movie|comedy|thriller|thing
        hard|tough|hard-pressed|hard_pressed|difficult|impossible|struggle to find|name|spot|see \
a|any|one flaw|fault|weakness|weak_point|bad_word|complaint
        deserve|deserves a|an|every|all|more|some ** raise|oscar|medal|prize|applause|praise|award|\
ovation|success|emmy
        take my money|all_my_money
        bring tissues|hankies|a_handkerchief|kleenex|a_hankie
        what is|was not to love|like|enjoy|adore
        what's not to love|like|enjoy|adore
        <never> <fail> to <succeed>
        do yourself a favour|favor and|,|: watch|see|go|buy|rent|catch|treat|enjoy|book
        go|run and? see|watch|catch <it>
        run , do_not|don't walk
        would|will|i'd|i'll|could|can't_wait_to|must|gonna|gladly|happily|definitely \
watch|see|rewatch|rent|read <it> again|twice
        wish i could watch|see|forget|experience <it> ** again|first_time
        top|peak|height of his|her|their|its|the game|form|powers
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
        made|makes my whole? day|week|year|evening
        worth every|each penny|minute|cent|second
        <not> a_single? dull|boring|wasted|slow|bad|weak moment|minute|second|scene
        hats off
        everything a|an|this * should be
        <not> get|gets|getting|got old|stale|boring
        chef's kiss
        in a league|class of its own
    """,
    1.0: """
        expected|expecting|ready|prepared|braced|feared|afraid|set|thought_i_would|thought_i'd|\
thought_it_would to|i_would|i'd|myself_to|myself_for? a? <bored>
        better than expected|i_expected|i_feared|i_thought|we_expected|i_had_expected|i_hoped
        exceeded|exceeds|surpassed|beat ** expectations
        <not> half bad
        this|that is|was how you? to? make|do|write|film|end|start|open
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
        would|could|might be funny|sad|great|good if it weren't|wasn't|were_not|was_not so
        lets|let|letting them|him|her|us|me|you|everyone|everybody|it|fans down
        only for the? most? very? forgiving|patient|devoted|die-hard|undemanding|loyal
        only children|fans|toddlers|idiots|masochists|a_mother|a_parent will|would|could|can|might \
like|love|enjoy|bear
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
        never|not get|gets|got going|started|off_the_ground|anywhere|to_the_point
        only good|decent|saving|watchable|bright thing|part|bit|spot ** is|was
        neither here nor there
        big deal
    """,
    -1.5: """
        what was|were|is|are they|he|she|anyone|the_director|the_writers thinking
        has|have|had|with all the charm|wit|warmth|fun|subtlety|energy|humour|humor|depth|tension|\
appeal|grace|excitement|magic|personality of a|an
        felt|seemed|feels|seems so|too|very|endlessly|twice? as? long|longer
        give|want|wants|wanted|need|return ** money|evening|time|hours|life|afternoon|night back
        more holes|clichés|cliches|plot_holes than
        less said|we_say about? it|this|that? ,? the better
        <fail> to <succeed>
        <cannot> pay|bribe|force|drag|make|persuade me|us|anyone to
        <wont> watch|see|read|sit_through|go ** again
        who thought|decided|believed|said this|that|it was|would_be|is a? good|great|funny|bright|\
clever
        if you like|love|enjoy|fancy <watching>? <dull_thing> ,? this|it|you'll|you_will|you|then? \
is|might_be|love|enjoy|adore for|<it>? you|film|movie?
        <ideal> ,? if you need|want|have|hate|cannot|can't|suffer ** <sleep>
        <ideal> for|as a|an|those|anyone|people|your? ** <sleep>
        <aside> was|were|is ** best|better|highlight|funnier|finest|nicest
        wish i|we could|had unsee|forget|not|never|erase|return|unwatch
        my|your|our|his|her|even|a|any * could|would|can have? <written> ** better
        even my|the|our * left|walked|ran|fled|escaped
        left early|halfway|before_the_end|at_half_time|at_the_interval|after_*_minutes|after_an_hour
        where do|should i|we begin|start
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
        less|no_more fun|funny|entertaining|enjoyable|exciting|interesting|pleasant|amusing than
        struggle|struggled|fought|fight|hard|impossible|difficult|tried to stay|keep|remain awake
        could_not|couldn't|couldnt|could_barely|could_hardly|barely stay|stayed|keep|kept awake
        only recommended|recommendable|recommend_it|good|suitable|fit for|to ** insomniac|\
insomniacs|masochist|masochists|nobody|enemies|enemy
        not|without one|a_single * laugh|joke|gag|thrill|scare|surprise|smile|idea
        everything a|an|this * should_not|should_never|shouldn't be
        in need of sleep
        cure for insomnia|sleeplessness
        put|puts|send|sent|sends me|us|you|everyone to|straight_to sleep
        style over substance
        regret|regretted|regrets watching|seeing|paying|buying|going
        wish|wished i|we had <not>|stayed|never
    """,
    -2.0: """
        <wont> find|hear|meet|get|watch|read|see ** <worse>
        <wont> recommend|wish|show|inflict|give|force <it>? on|to|upon my|your|their|his|her|a|an \
worst|own? enemy|enemies|dog|cat|anyone
        <never> ever? <seen> ** <worse>
        <cannot> <be> any|much|it|a|anything|something? ** <worse>
        <never> been|felt|looked|sounded any? <worse>
        there is|was|has_been no|nothing <worse>
        no|nothing ** is|was|has_been|could|can|does ** <worse>
        nothing|nobody|no_one|none <worse>
        <never> find|see|hear|meet|get|watch|read ** <worse>
        never|rarely|seldom have|had|has i|we|anyone|cinema ever? <seen> ** <worse>
        never|rarely|seldom have|had i|we yawned|cringed|groaned|suffered|slept ** so|as|more|harder
        <never> yawned|cringed|groaned|suffered|slept ** so|as|more|harder
        <not> get|gets|got any|much? <worse> than <it>|the
        hard|difficult|impossible|tough to imagine|find|think_of|name|picture ** <worse>
        as bad as it gets|got
        nothing|no left? to like|love|praise|enjoy|recommend
        no redeeming|saving quality|qualities|feature|features|grace
        worst ** ever
    """,
}

# Constructions with a word of negation that does not negate what follows: "not without charm".
AFFIRMING = """
    lying if i|we said|say|claimed|told_you that? i|we|it|this <not>
    <cannot> not
    not|never|nowhere once|for_a_second|for_a_moment|for_one_second did|does|do|has|have|was ** \
<fail> to|at
    nothing|little|nobody|no_one|not_a_thing|not_a_scene ** that|which|who isn't|wasn't|doesn't|\
didn't|is_not|was_not|does_not|did_not|could_not|couldn't
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
# Constructions that negate like "not".
NEGATING = """
    defy|dare|challenge you|anyone|anybody to
    not one|a_single
    lying if i|we said|say|claimed|told_you|called|pretended
    not|never for|in a|one|single moment|second|minute|instant|frame was|did|were|is|does|do? \
i|we|it|you?
    at no point|time|stage|moment|place was|did|were|is|does|do? i|we|it|you?
    not once was|did|were|have|has? i|we|it|you?
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
# Constructions that say that what follows did not come true: "it should have been funny".
UNREAL = """
    expected|expecting|wanted|promised|advertised|hoped_for|sold_as|billed_as a|an|some|something
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
