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

GRAMMAR = Grammar(
    _RULES
    + f"city = {' | '.join(CITIES)}\n"
    + f"country = {' | '.join(country.name for country in COUNTRIES)}\n"
    + f"continent = {' | '.join(dict.fromkeys(country.continent for country in COUNTRIES))}\n"
)
