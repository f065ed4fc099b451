"""Constructions that change the value of what follows, in the notation of `constructions.py`."""

from __future__ import annotations

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
    hardly|barely|scarcely|rarely a|an moment|minute|second|scene|shot|line|joke|song that|which \
isn't|wasn't|is_not|was_not|doesn't|didn't|does_not|did_not
    nothing but|short_of|less_than|if_not
    never without|lacks|lacked|stops|stopped|ceases|ceased|fails_to|failed_to|fail_to
    none other than
    only regret is|was
    however|no_matter_how *
    <not> care|mind what|who|how ** say|says|think|thinks
    whatever|whoever ** say|says|think|thinks
    does|do|did|do|doing|try|tries|tried|trying his|her|its|their|my level? best
    the original .|,
    than|as|of|like the original
    like most|many|so_many|too_many|other|others
    who hates|loves|likes|dislikes|enjoys|adores|despises ** ,
    if only all|more|every ** were|was|had|could
    as|i'd|i_had|we_had expected|hoped|feared|heard
    <cannot> believe how|i|it|this|that
    <cannot> say|pretend ** didn't|wasn't|did_not|was_not
    hard|impossible|difficult not to
    never|didn't|did_not|hadn't thought|think|expected|expect|imagined|imagine ** would|could|\
i'd|it'd be?
    <cannot> say|claim|pretend i_did_not|i_didn't|it_was_not|it_wasn't
    a good|great * minutes|hour|hours|half|while|deal|many|part
    is|was|it's|feels|felt|looks|looked|sounds|sounded|plays|ends|acts|more|much|just like
    heard|read ** bad|good|great|terrible things|reviews
    love|loves|loved to hate
    told|advised|warned|urged ** to skip|avoid|miss|not
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
    far|short from|of
    anything|everything but
    avoids|avoided|avoiding|dodges|dodged|escapes|escaped|sidesteps|spares|resists
    hard|difficult|impossible|tough|struggle|struggled to
    saves|saved|rescues|rescued ** from
    less
    short|low|light on
    nowhere|not near|close|nearly
    not even ** is|was|are|were|could|can
    <not> get|understand|see|know what|why|how ** anyone|people|everyone|critics|they|others|the
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
    if only
    if only ** were|was|had|had_been|could
    expecting|dreading|fearing|dreaded|wanted|promised
    meant|supposed|intended to be
    wait|waited|waiting for ** to
    wish|wished ** were|was|had|would
    told|assured|promised ** was|were|is|would_be|it's
    supposedly|allegedly|so-called
    used to love|like|enjoy|admire
    pretend|pretends|pretended|pretending|claim|claims|claimed|try|tries|tried to be
    promise|promised|promises|promising to be? a?
"""
