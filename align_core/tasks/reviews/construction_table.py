"""Constructions with a value, in the notation of `constructions.py`."""

from __future__ import annotations

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
        if you only? see|watch only? one|a_single film|movie|comedy|thriller|thing
        mad|crazy|foolish|daft|insane|silly|fool|idiot to miss|skip|avoid
        enjoyed|loved|adored|relished|savoured every|each ** minute|second|moment|bit|frame
        only regret ** waited|wait|sooner_than|not_see|not_watch|did_not_see|didn't_see|\
didn't_watch|not_having_seen
        going|booked|back|go|went ** to see|watch <it> again
        the hype is real
        <ignore> ** critics|haters|reviewers|bad_reviews|negative_reviews|one-star_reviews
        tried|wanted|expected|ready|prepared|determined to hate|dislike ** and|but ** \
failed|could_not|couldn't|loved|enjoyed
        <not> thought|think|expected|expect|imagined i_would|i'd ** like|love|enjoy
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
        no ** is|was|are too high|strong|good|big
        a must have?
        there is|are|were worse ** ways|things|films|movies|places
        must watch|see
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
        my|our|the only complaint|criticism|gripe|quibble|niggle
        regret|regrets|regretted nothing
        no regrets
        better than expected|i_expected|i_feared|i_thought|we_expected|i_had_expected|i_hoped
        exceeded|exceeds|surpassed|beat ** expectations
        <not> half bad
        this|that is|was how you? to? make|do|write|film|end|start|open
        like|liked it|this|them? a_lot|very_much
    """,
    0.6: """
        not|isn't|wasn't the worst
        could have been <worse>
        <have> seen|had|known|heard|watched <worse>
        no <worse> than
    """,
    0.2: """
        fine|okay|ok|alright|decent enough? ,? i_guess|i_suppose
        fine|okay|ok|alright|decent enough
    """,
    -0.2: """
        not|neither good|great|amazing|brilliant|fantastic|excellent|the_best ,|but|nor|and not? \
bad|awful|terrible|dreadful|horrible|the_worst
        not|neither bad|awful|terrible|dreadful|horrible|the_worst ,|but|nor|and not? \
good|great|amazing|brilliant|fantastic|excellent|the_best
        some * worked|landed|shone|clicked ,? and? some|others ** didn't|did_not|don't|do_not
    """,
    -0.6: """
        better than nothing
        <not> the best|greatest|finest|funniest
        could|should do_with|use|have_used|have_done_with more|less|fewer|a|some
        <not> for me|us
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
        deserve|deserved|deserves|expected|expect|hoped_for|want|wanted so|much|far? much? <better>
        expected|wanted|hoped_for|needed ** more
        <better> than this|that
        <cannot> act|sing|dance|direct
        had enough
        only thing|part|bit|scene|joke|character|positive|reason that|which|who|i|we? i|we? \
liked|enjoyed|loved|worked|landed
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
        fall|falls|fell|fallen short of every|all|my|our|its|their|the ** expectation|expectations|\
promise|promises|hype|premise|potential|mark
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
        who thought|decided|believed|said ** ** was|would_be|is|were a? good|great|funny|bright|\
clever
        <have> seen|had|heard|known|watched ** with <better>
        <cannot> forgive|excuse|recommend|defend
        <have> seen|had|known|watched ** i|we enjoyed|liked|loved more|better
        <have> had|seen|known ** more fun|laughs|excitement|joy|wit|charm|life
        more fun|laughs|wit|charm|drama|excitement|tension|depth|life ** at|in a|the|my
        <aside> had|has|contains|contained|shows|showed|gave|gives ** all|every ** good|best|\
funny|decent
        all ** good|best|funny|decent ** is|are|was|were in the <aside>
        <avoid> <it>|this_*|at_all_costs|like
        best|better avoided|left|forgotten|skipped
        worth missing|skipping|avoiding
        no|zero|without_a story|plot|point|chemistry|substance|tension|jokes|depth whatsoever|\
at_all|to_speak_of|here
        if you|you're are? five|six|drunk|stoned|asleep|deaf|blind|desperate
        <ignore> ** hype|raves|five-star_reviews|good_reviews|glowing_reviews
        nice try
        so good|great|funny|exciting|gripping|moving that? i|we left|fell_asleep|slept|walked
        liked|loved|enjoyed|favourite|favorite ** bit|part|moment|scene where|when|was \
it|the|when? stopped|ended|finished|it_ended|it_stopped|it_finished|credits|end
        no ,? thanks|thank_you
        <have>|shows|showed more personality|charisma|charm|life|wit|depth|plot than this|it|he|she
        hated|loathed|regretted every|each ** minute|second|moment|bit|frame
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
        skip <it>
        if you only? skip|miss|avoid only? one|a_single
        <not> bother|waste_your
        should|must be missed|avoided|skipped
        mad|crazy|foolish|daft|insane|silly|fool|idiot to see|watch|pay|sit_through|recommend
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
        <ideal>|what_a way to waste|ruin|kill|spoil|fall_asleep|lose
        all? the wrong reasons|ways
        shame|pity about|nobody|no_one|there|that|the
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
