"""Options of commands: from configuration models to argparse and back."""

from __future__ import annotations

from pydantic import BaseModel

from align_core.cli.options import RUN_OPTIONS, Parser, add_run_options, checked, option_values
from align_core.config.fields import Seed
from align_core.config.run_config import RunConfig


def parsed(*argv):
    parser = Parser()
    add_run_options(parser)
    return parser.parse_known_args(argv)


def test_every_field_of_a_configuration_is_an_option_without_a_default():
    arguments, _ = parsed()
    assert option_values(arguments, *RUN_OPTIONS) == dict.fromkeys(RUN_OPTIONS)
    assert {"method", *RUN_OPTIONS} == set(RunConfig.model_fields)


def test_a_value_is_text_and_a_switch_is_true_or_false():
    arguments, unknown = parsed(
        "--beta", "-1e-3", "--freeze-trunk", "--no-whiten-advantages", "--bet"
    )
    assert (arguments.beta, arguments.freeze_trunk, arguments.whiten_advantages) == (
        "-1e-3",
        True,
        False,
    )
    assert unknown == ["--bet"], "and nothing is abbreviated"


def test_a_missing_value_is_bad_input():
    args, unknown = parsed("--steps", "--beta", "2", "--freeze-trunk=3", "--seed")
    assert [line.text for line in args.invalid] == [
        "argument --steps: expected one argument",
        "argument --freeze-trunk: ignored explicit argument '3'",
        "argument --seed: expected one argument",
    ]
    assert (args.beta, args.steps, args.freeze_trunk, unknown) == ("2", None, None, [])


def test_given_values_are_checked_and_others_have_defaults():
    class Options(BaseModel):
        seed: Seed = 7

    lines = []
    assert checked(Options, parsed()[0], lines).seed == 7
    assert checked(Options, parsed("--seed", "3")[0], lines).seed == 3 and not lines
    assert checked(Options, parsed("--seed", "x")[0], lines) is None
    assert [line.code for line in lines] == ["seed"]
