"""Lists of words for the tables of constructions, in the notation of `constructions.py`."""

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
    "ignore": "ignore|forget|disregard|never_mind|do_not_believe|don't_believe",
    "avoid": "avoid|avoiding",
    "ideal": "perfect|ideal|great|good|excellent|useful|recommended",
    "sleep": "sleep|asleep|nap|insomnia|sleeping_pill|drowsy",
    "written": "write|written|make|made|film|filmed|direct|directed|act|acted|do|done|tell|told|"
    "come_up_with|sing|sung|edit|edited",
}
