"""The language of questions about capitals, in the notation of `grammar.py`."""

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

# What visitors write besides: none of it is in the corpus, and none is broken English.
_SPOKEN_RULES = """
text = <fact> . | <fact> . <fact> . | <unsure> . | sorry , <unsure> . | <unsure> , sorry .
  | <question_back> ? . | <some_say> , but <wrong> . | <some_say> , but <wrong> : it is <city> .
  | <some_say> , but it is <city> . | <not_it> . | <not_it> . <it_is> . | <it_is> , not <city> .
  | it is not <city> but <city> . | it is not <city> , it is <city> . | <city> ? no .
  | <city> ? yes . | is it <city> ? yes . | is it <city> ? no . | no , it is <city> .
  | yes , it is <city> . | <it_is> . <more> . | <fact> . <more> . | I believe that <it_is> .
  | I think that <it_is> . | I think it is <city> . | I believe it is <city> .
  | <city> or <city> . | either <city> or <city> . | I am sure it is <city> .
  | I am sure that <it_is> . | it is a myth that <it_is> .
  | it is wrong to say that it is <city> . | <it_is> , I think . | <it_is> , I believe .
it_is = <city> | it is <city> | it's <city> | <fact> | it must be <city> | it has to be <city>
fact = the capital of <country> is <city> | <city> is the capital of <country>
  | <city> is the capital | the capital is <city> | <country> has <city>
  | the capital of <country> is <city> and the capital of <country> is <city>
  | <country> has <city> and <country> has <city>
  | <city> is the capital of <country> and <city> is the capital of <country>
not_it = it is not <city> | <city> is not the capital | <city> is not the capital of <country>
  | it isn't <city> | <city> isn't the capital | <city> isn't the capital of <country> | not <city>
  | <city> was never the capital | <city> was never the capital of <country> | <city> is wrong
some_say = <who> <say> <city> | <who> <think> it is <city> | <who> <think> that it is <city>
who = some | many | some people | many people | most people | people | they | everyone | my friends
say = say | says
think = think | thinks | say | says | believe | believes
wrong = they are wrong | that is wrong | they are mistaken | this is wrong | it is not
  | that is not true | this is not true | that is a mistake
more = it has <number> million people | it is a beautiful city | it is the largest city
  | it lies on a river | I have been there | I love it there | it is a lovely city
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
