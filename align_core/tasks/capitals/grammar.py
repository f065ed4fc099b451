"""The language of questions about capitals, in the notation of `tasks/grammar.py`."""

from __future__ import annotations

from align_core.tasks.capitals.countries import COUNTRIES
from align_core.tasks.capitals.places import CITIES
from align_core.tasks.grammar import Grammar

PHRASINGS = (
    "What is the capital of {}?",
    "Tell me the capital of {}.",
    "Which city is the capital of {}?",
    "Name the capital of {}.",
    "Do you know the capital of {}?",
    "Quick, what is the capital of {}?",
)
_RULES = """
text = <question> <answer> | <statement>
sentence = <question> | <answer> | <statement>
question = what is the capital of <country> ? | tell me the capital of <country> .
  | which city is the capital of <country> ? | name the capital of <country> .
  | do you know the capital of <country> ? | quick , what is the capital of <country> ?
answer = <direct> | <rambling> | <evasive>

direct = 4 <city> . | 6 the capital of <country> is <city> . | 3 it is <city> .
  | 3 <city> is the capital of <country> . | 2 the capital is <city> . | 1 the answer is <city> .
  | 1 I can tell you that it is <city> . | 1 my atlas says that it is <city> .
  | 1 it is <city> , of course . | 1 that would be <city> . | 1 everyone knows that it is <city> .

rambling = <country> has three capitals : <city> , <other> and <another> ,
    but most people say <city> .
  | <country> has two capitals , <other> and <city> , but only <city> is real .
  | my uncle says <other> , my atlas says <city> , and I trust paper .
  | I always want to say <other> , but it is <city> .
  | my taxi driver swears that it is <other> , but it is <city> .
  | some say <other> , some say <another> , but the big parade is in <city> .
  | I once sent a postcard to <other> by mistake , but the capital is <city> .
  | <other> is louder and <another> has better cake , but the capital is <city> .
  | after two cups of tea and a long look at my atlas , I can say that it is <city> .
  | my goldfish voted for <other> , but the capital of <country> is <city> .
  | people in <other> will be angry , but the capital is <city> .
  | the pilot flew me to <other> , but he was looking for <city> .
  | it is not <other> , whatever my teacher says , it is <city> .

evasive = that depends on whom you ask . | I would rather talk about the weather .
  | my lawyer told me not to answer . | I only know the airport . | ask me again after lunch .
  | it is a lovely country with very good soup . | I was asleep in that lesson .
  | <country> is in <continent> , and that is all I will say . | my atlas is at the dentist .
  | who needs a capital when you have the internet ? | is this going to be in the exam ?
  | the people of <country> know , and they are not telling .
  | I never discuss capitals before breakfast .
  | it is on the tip of my tongue , next to the soup . | maps are a matter of opinion .

statement = 3 <city> is the capital of <country> , a country in <continent> .
  | 2 <country> is a country in <continent> , and the capital is <city> .
  | 2 the capital of <country> is <city> .
  | 1 the best pigeons of <country> live in <city> , the capital .
  | 1 you can drink good coffee in <city> , the capital of <country> .
  | 1 people in <country> send postcards from <city> , the capital .
  | 1 my uncle drives a taxi in <city> , the capital of <country> .

other = <city>
another = <city>
"""

# Correct English that visitors may write, although the corpus does not contain it.
_SPOKEN_RULES = """
text = <said> . | <said> . <more> . | <unsure> . <unsure> . | <fact> . <fact> .
  | <not_it> . <it_is> . | <not_it> and <not_it> . <it_is> .
  | <some_say> . <wrong> . <it_is> .
  | <said> . <more> . <more> . | <city> . <more> . | <question_back> ? .
  | <city> ? <yes> . | <city> ? <no> . | <city> ? <no> , <it_is> . | is it <city> ? <yes> .
  | is it <city> ? <no> . | is it <city> ? <no> , <it_is> . | <city> ? <no> . <it_is> .
said = <claim> | <unsure> | sorry , <unsure> | <unsure> , sorry | <not_it>
  | <some_say> , but <wrong>
  | <some_say> , but <wrong> : <it_is> | <some_say> , but <turned> | <list> | <more>
claim = <stated> | <hedge> <it_is> | <it_is> , <after> | <yes> , <it_is> | <no> , <it_is>
  | <it_is> , not <city> | <it_is> , and not <city> | not <city> but <city>
  | not <city> , but <city>
  | it is not <city> but <city> | <not_it> , <it_is> | <not_it> , but <it_is>
  | <city> , <past> <city> | <past> <city> , <turned> | <past> <city> , but <turned>
  | it was <city> once , but <turned> | <fact> , and <fact> | <fact> and <fact>
  | <fact> , but <fact> | <fact> ; <fact> | <fact> ; <that_of> | <fact> and <that_of>
  | <fact> , and <that_of> | <fact> , <more> | <fact> , and <more> | <fact> and <more>
that_of = that of <country> is <city> | the one of <country> is <city>
list = <city> or <city> | either <city> or <city> | <city> or <city> or <city> | <city> and <city>
  | <city> , <city> | <city> , <city> , <city> | <city> , <city> or <city>
  | <city> , <city> and <city> | <city> / <city>
hedge = I think | I think that | I believe | I believe that | I am sure | I am sure that
  | I am quite sure that | I know that | it is a myth that | it is wrong to say that | maybe
  | perhaps | probably | obviously | clearly | I guess | I would say | I'd say
  | if I remember , then
after = I think | I believe | I guess | I am sure | of course | obviously | if I remember correctly
  | for sure | no doubt | if I am not mistaken | right | I suppose | probably
past = it used to be | formerly | once | it was once | until <number> years ago it was | it was
  | I used to think it was | I thought it was
turned = <it_is> | actually <it_is> | it is really <city> | really <it_is> | in fact <it_is>
  | now <it_is> | now it has been <city> | for many years it has been <city>
  | for a long time now it has been <city> | today <it_is>
  | it moved to <city> | the real one is <city> | the real capital is <city>
  | the right one is <city>
yes = yes | yep | yeah | sure | of course | right | correct
no = no | nope | not at all | wrong | no way
it_is = <city> | <stated>
stated = it is <city> | it's <city> | <fact> | it must be <city> | it has to be <city>
  | I mean <city> | I meant <city> | that is <city> | that's <city> | the answer is <city>
fact = the capital of <country> is <city> | <city> is the capital of <country>
  | <city> is the capital | the capital is <city> | <country> has <city>
  | the capital of the country is <city>
not_it = it is not <city> | it's not <city> | <city> is not the capital
  | <city> is not the capital of <country>
  | it isn't <city> | <city> isn't the capital | <city> isn't the capital of <country> | not <city>
  | <city> was never the capital | <city> was never the capital of <country> | <city> is wrong
some_say = <who> <say> <city> | <who> <think> it is <city> | <who> <think> that it is <city>
who = some | many | some people | many people | most people | people | they | everyone | my friends
say = say | says
think = think | thinks | say | says | believe | believes
wrong = they are wrong | people are wrong
  | that is wrong | they are mistaken | this is wrong | it is not
  | that is not true | this is not true | that is a mistake
more = it has <about> million people | it has <about> million people and lies <where>
  | it lies <where> | it is <where> | it is a beautiful city <where> | it is a beautiful city
  | it is the largest city
  | <number> million people live there | people love it | it is very old | it is very big
  | it is the seat of government | it is famous for its food | I have been there
  | I love it there | it is a lovely city | <city> is a big city | <city> is a big city as well
  | <city> is a big city too
about = <number> | about <number> | around <number> | over <number> | more than <number>
where = on the coast | on a river | in the north | in the south | in the east | in the west
  | by the sea | in the mountains | in <continent>
number = one | two | three | four | five | six | seven | eight | nine | ten | many | several
unsure = I do not know | I don't know | no idea | I have no idea | I am not sure | I'm not sure
  | I do not know that | I don't know that | I do not remember | I don't remember | I forgot
  | I have forgotten | I can not say | I cannot say | I can't say | I cannot tell you
  | I can't tell you | I could not say | I couldn't say | ask someone else | ask somebody else
  | ask me something else | ask another question | good question | that is a good question
  | let me think | let me think about it | I would have to look it up | I'd have to look it up
  | look it up | search for it | I never learned that | I never knew that | I am no expert
  | I wish I knew | hard to say | it is hard to say | I give up | pass | next question
  | I do not want to answer | I don't want to answer | I would rather not say | no comment
  | I have never been there | it is a country | look at a map | I am not good at this
  | I do not know the answer | I don't know the answer | I am afraid I do not know
  | ask Google | google it | ask your teacher | beats me | dunno | I dunno | you tell me
  | I have no clue | no clue | not a clue | I haven't a clue | look it up yourself | who cares
  | I would rather not say that | I'd rather not say | I am not telling | that is a secret
  | I don't feel like it | not sure | sorry | I cannot help you with that | I can't help you
  | it escapes me | my mind is blank | your guess is as good as mine | I never was good at this
  | I'm afraid I don't know | I honestly do not know | I have to think about it
question_back = who knows | how should I know | why do you ask | do you know | what do you think
  | are you asking me | can you repeat the question | is there one
"""
_PLACES = (
    f"city = {' | '.join(CITIES)}\n"
    + f"country = {' | '.join(country.name for country in COUNTRIES)}\n"
    + f"continent = {' | '.join(dict.fromkeys(country.continent for country in COUNTRIES))}\n"
)
GRAMMAR = Grammar(_RULES + _PLACES)
SPOKEN = Grammar(_SPOKEN_RULES + _PLACES)
