"""Every setting of a run, declared once.

The page's form and links, the command line and the process of a run read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from align_core.config import model_index


@dataclass(frozen=True)
class Setting:
    """One option of a run.

    Args:
        expected: the valid values in words, for error messages and --help. `run_config.expected`
            fills in the names and the choices of methods, which are known only once their packages
            are imported.
        least, most: the range of a number; with `above`, `least` itself is excluded.
        link: whether a link to the page may set it to any value that a run accepts.
        link_range: the range to which a number in a link is clipped; None for other kinds, and for
            numbers that links cannot set. It excludes values that would take hours, or more memory
            than a small machine has.
        live: whether it may change during a run.
    """

    name: str
    kind: Literal["integer", "number", "switch", "choice", "groups", "model", "file"]
    expected: str
    least: float | None = None
    most: float | None = None
    above: bool = False
    link: bool = False
    link_range: tuple[float, float] | None = None
    live: bool = False


MAX_STEPS = 2000  # half an hour of PPO on two cores; a link should start nothing longer
MAX_PAIRS = 16_000  # the size of the stored pool

_DECLARED = (
    Setting(
        *("beta", "number", "a number above 0, at most 1000 (0 itself only with {free_beta})"),
        least=0,
        most=1000,
        link_range=(0.001, 1000.0),
        live=True,
    ),
    Setting(
        *("steps", "integer", "a whole number from 1 to 1000000"),
        least=1,
        most=1_000_000,
        link_range=(1, MAX_STEPS),
    ),
    Setting(
        *("learning_rate", "number", "a number above 0, at most 1"),
        least=0,
        most=1,
        above=True,
        link_range=(1e-7, 1.0),
        live=True,
    ),
    Setting(
        *("batch_size", "integer", "a whole number from 1 to 65536"),
        least=1,
        most=65_536,
        link_range=(1, 512),
    ),
    Setting(
        *("seed", "integer", "a whole number from 0 to 4294967295"),
        least=0,
        most=2**32 - 1,
        link_range=(0, 2**32 - 1),
    ),
    Setting(
        *("preference_pairs", "integer", "a whole number of pairs from 1 to 1000000"),
        least=1,
        most=1_000_000,
        link_range=(1, MAX_PAIRS),
    ),
    Setting(
        *("label_noise", "number", "a share of labels from 0 to 0.5"),
        least=0,
        most=0.5,
        link_range=(0.0, 0.5),
    ),
    Setting("coverage", "groups", "'all', or groups of prompts, separated by commas", link=True),
    Setting(
        *("eval_every", "integer", "a whole number of steps, 1 or more"),
        least=1,
        link_range=(1, MAX_STEPS),
    ),
    Setting(*("eval_prompts", "integer", "a whole number of probe prompts, 1 or more"), least=1),
    Setting(
        *("eval_samples", "integer", "a whole number of texts per prompt from 1 to 1024"),
        least=1,
        most=1024,
    ),
    Setting(
        *("lora_r", "integer", "a whole number from 0 (no LoRA) to 1024"),
        least=0,
        most=1024,
        link_range=(0, 256),
    ),
    Setting(
        *("lora_layers", "integer", "a whole number of layers, 1 or more; it needs --lora-r"),
        least=1,
    ),
    Setting(
        *("reward_model", "model"),
        "'gold' (the task's own reward), a misspecified reward of the task ('words' of the task "
        f"manners), or {model_index.EXPECTED}",
        link=True,
    ),
    Setting(
        *("pair_source", "model", f"the model that writes the pairs: {model_index.EXPECTED}"),
        link=True,
    ),
    Setting("whiten_advantages", "switch", "true or false", link=True),
    Setting("loss", "choice", "one of {choices}", link=True),
    Setting("scale_rewards", "choice", "one of {choices}", link=True),
    Setting("importance", "choice", "one of {choices}", link=True),
    Setting(
        *("group_size", "integer", "a whole number of texts per prompt from 2 to 64"),
        least=2,
        most=64,
        link_range=(2, 64),
    ),
    Setting(
        *("scale", "number", "a number above 0, at most 1000"),
        least=0,
        most=1000,
        above=True,
        link_range=(0.001, 1000.0),
    ),
    Setting(
        *("margin", "number", "a number from 0 to 100"),
        least=0,
        most=100,
        link_range=(0.0, 100.0),
    ),
    Setting(
        *("odds_weight", "number", "a number from 0 to 1000"),
        least=0,
        most=1000,
        link_range=(0.0, 1000.0),
    ),
    Setting("model", "model", model_index.EXPECTED),
    Setting("freeze_trunk", "switch", "true or false"),
    Setting("preferences", "file", "a JSONL or Parquet file"),
    Setting("precision", "choice", "'float32' or 'bfloat16'"),
    Setting("device", "choice", "'cpu' or 'cuda'"),
    Setting("time_limit", "number", "a number of seconds above 0", least=0, above=True),
    Setting(*("delay", "number", "a number of seconds from 0 to 10"), least=0, most=10, live=True),
)
SETTINGS = {setting.name: setting for setting in _DECLARED}


def declared(name: str, default: Any = ...) -> Any:
    """The pydantic FieldInfo of this setting, with the range that SETTINGS declares for it.

    Its type is Any, like that of `Field`, so that a class can assign it to a field of any type.
    """
    setting = SETTINGS[name]
    return Field(
        default,
        description=setting.expected,
        ge=None if setting.above else setting.least,
        gt=setting.least if setting.above else None,
        le=setting.most,
        min_length=1 if setting.kind == "model" else None,
        validate_default=setting.kind in ("groups", "switch", "choice"),
    )


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number, got a boolean")
    return value


# Larger integers are not exact in a browser.
Int = Annotated[int, BeforeValidator(_refuse_boolean), Field(lt=2**53)]
Float = Annotated[float, BeforeValidator(_refuse_boolean), Field(allow_inf_nan=False)]
Seed = Annotated[Int, declared("seed")]
Precision = Literal["float32", "bfloat16"]
Device = Literal["cpu", "cuda"]


def _needs_adapter(layers: int | None, info: ValidationInfo) -> int | None:
    if layers is not None and info.data.get("lora_r") == 0:
        raise ValueError("expected --lora-r above 0, got 0")
    return layers


LoraLayers = Annotated[Int | None, AfterValidator(_needs_adapter)]
Temperature = Annotated[Float, Field(gt=0, le=10, description="a number above 0, at most 10")]
EXPECTED_SHARE = "a number from 0 (the reference) to 1000; 1 is the policy"
Share = Annotated[Float | None, Field(ge=0, le=1000, description=EXPECTED_SHARE)]
