"""The arguments of queries, which come from visitors."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from align_core.config.errors import ConfigError
from align_core.config.fields import Float, Int, Seed, Share, Temperature
from align_core.config.run_config import TaskName, validated

MAX_CHARACTERS = 2000  # of a prompt or completion
EXPECTED_MODEL = "an embedded or recorded model, or a run here that has saved a model"


def checked(kind: type[BaseModel], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a query, validated and with their defaults. Raises ConfigError."""
    options, lines = validated(kind, arguments)
    if options is None:
        raise ConfigError(*lines)
    return options.model_dump()


def _readable(text: str) -> str:
    if not text.encode().strip():  # a lone surrogate raises ValueError: no tokenizer encodes it
        raise ValueError("blank")
    return text


Text = Annotated[
    str,
    AfterValidator(_readable),
    Field(
        max_length=MAX_CHARACTERS,
        description=f"a text, not empty, of at most {MAX_CHARACTERS} characters",
    ),
]


Samples = Annotated[Int, Field(ge=1, le=16, description="a whole number of samples from 1 to 16")]


class Generate(BaseModel):
    task: TaskName
    models: list[str] = Field(min_length=1, max_length=4, description="one to four models")
    prompt: Text
    n: Samples
    temperature: Temperature
    seed: Seed
    realign: Share = None


class Score(BaseModel):
    task: TaskName
    model: str = Field(description=EXPECTED_MODEL)
    reference: str | None = Field(description=EXPECTED_MODEL)
    prompt: Text
    completions: list[Text] = Field(
        min_length=1,
        max_length=8,
        description=f"one to eight texts, none empty or over {MAX_CHARACTERS} characters",
    )


class HeadToHead(BaseModel):
    task: TaskName
    models: list[str] = Field(min_length=2, max_length=4, description="two to four models")
    n: Samples
    seed: Seed


class Candidates(BaseModel):
    task: TaskName
    model: str = Field(description=EXPECTED_MODEL)
    count: Int = Field(ge=1, le=1024, description="a whole number of pairs from 1 to 1024")
    seed: Seed


class Mixture(BaseModel):
    model: str = Field(description=EXPECTED_MODEL)
    share: Float = Field(ge=0, le=2, multiple_of=0.25, description="a multiple of 0.25 from 0 to 2")
