"""The schema of the events of a run, against which each line of a log is checked.

A log may come from another version or another program, and a disk may have damaged it. A line is
checked here, when it is read, and all other code relies on the schema. Keys that it does not
declare are left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from align_core.config.fields import declared

Status = Literal["running", "paused", "finished", "stopped", "failed"]
Phase = Literal["writing", "scoring", "updating", "measuring"]
Count = Annotated[int, Field(ge=0, lt=2**53)]  # larger integers are not exact in a browser
# Larger than any float32, and small enough that sums, products and squares are finite.
Number = Annotated[float, Field(ge=-1e100, le=1e100)]


class _Declared(BaseModel):
    """JSON of exactly these types; no number is NaN or infinite."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Event(_Declared):
    step: Count
    seconds: Number


class _StatusEvent(_Event):
    kind: Literal["status"]
    status: Status
    message: str
    cause: JsonValue = None  # `messages.from_event` reads it


class _MetricsEvent(_Event):
    kind: Literal["metrics"]
    metrics: dict[str, Number | None]


class _Text(_Declared):
    text: str
    gold_reward: Number | None = None
    proxy_reward: Number | None = None


class _Token(_Declared):
    text: str
    logp: Number
    ref_logp: Number


class _PolicyText(_Text):
    tokens: list[_Token]
    kl: Number | None = None


class _Sample(_Declared):
    prompt: str
    reference: _Text
    policy: _PolicyText


class _SamplesEvent(_Event):
    kind: Literal["samples"]
    samples: list[_Sample]


class _PhaseEvent(_Event):
    """What the run does from now on. `count` is the number of texts or updates, `text` one of these
    texts, and `prompt` its prompt."""

    kind: Literal["phase"]
    phase: Phase
    count: Count = None  # type: ignore[assignment]  # these may be absent, but not null
    prompt: str = None  # type: ignore[assignment]
    text: str = None  # type: ignore[assignment]


class _Learnt(_Declared):
    text: str
    score: Number = None  # type: ignore[assignment]  # may be absent, but not null


class _Demonstration(_Declared):
    prompt: str
    text: str


class _Pair(_Declared):
    prompt: str
    chosen: _Learnt
    rejected: _Learnt


class _ExampleEvent(_Event):
    """What the next update learns from: one demonstration or one pair of the batch."""

    kind: Literal["example"]
    example: _Demonstration | _Pair


class _UpdatedToken(_Token):
    new_logp: Number


class _Whitening(_Declared):
    mean_earned: Number
    mean_kl: Number
    var_earned: Number
    cov: Number
    var_kl: Number


class _ExampleToken(_Declared):
    """What `training.example_token` returns."""

    prompt: str
    tokens: list[_UpdatedToken]
    place: Count
    score: Number
    ahead: Number
    value: Number
    advantage: Number
    whitening: _Whitening
    clip: Number
    lam: Number
    beta: Number
    rollout: Count
    updates: Count


class _TokenEvent(_Event):
    kind: Literal["token"]
    token: _ExampleToken


class _Distance(_Declared):
    """What `training.distance` returns."""

    beta: Number
    gap: Number
    gap_ci95: Number
    kl: Number
    kl_ci95: Number
    prompts: Count
    texts: Count
    count: Count
    share: Number
    named: list[str]


class _DistanceEvent(_Event):
    kind: Literal["distance"]
    distance: _Distance


class _Settings(_Declared):
    """The settings that may change during a run; those that did not are absent."""

    beta: float = declared("beta", None)
    learning_rate: float = declared("learning_rate", None)


class _ChangeEvent(_Event):
    kind: Literal["change"]
    settings: _Settings
    before: _Settings = None  # type: ignore[assignment]  # may be absent, but not null


class _ResumeEvent(_Event):
    kind: Literal["resume"]


_EVENT: TypeAdapter[_Event] = TypeAdapter(
    Annotated[
        _StatusEvent
        | _PhaseEvent
        | _MetricsEvent
        | _SamplesEvent
        | _TokenEvent
        | _ExampleEvent
        | _DistanceEvent
        | _ChangeEvent
        | _ResumeEvent,
        Field(discriminator="kind"),
    ]
)


def parse(line: bytes) -> dict[str, Any] | None:
    """The event in one line of a log; None if it is not an event that this module declares."""
    try:
        return _EVENT.validate_json(line).model_dump(exclude_unset=True)
    except ValidationError:
        return None
