"""The README.md beside the files of a run: what it is, its results, how to repeat and load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN, NAMES, known_card
from align_core.runs.commands import command, python
from align_core.runs.events import Event, of_kind, series, status
from align_core.runs.markdown import escaped, results

_OTHER_TASK = """

The task is not in this folder. To load the run, write the absolute path of the task's folder or
file as `task` into `config.json`; to repeat the run, give the same path to `--task`."""
TASK_FOLDER = "task"
_TASK_HERE = f"""

The task is the folder `{TASK_FOLDER}`: run these commands in the folder that contains it. To load
the run, write the absolute path of `{TASK_FOLDER}` as `task` into `config.json`."""
_QUESTIONS = {
    "policy": "run.generate(n=4)  # texts, with their rewards",
    "reward model": 'run.score("A prompt", " and its completion.")',
}


def readme(
    name: str,
    config: Mapping[str, Any],
    events: Sequence[Event],
    has_model: bool,
    has_task: bool = False,
) -> str:
    """The README.md of the run folder `name`.

    `has_model` tells whether the folder holds the run's model, and `has_task` whether it holds its
    task, in TASK_FOLDER, which the configuration then names.
    """
    makes = methods()[config["method"]].makes
    last = status(events)
    steps = config["steps"]
    state = f"{last['status']} at step {last['step']} of {steps}" if last else "not begun"
    changes = [
        f"- after step {event['step']}: "
        + ", ".join(f"{setting} {value}" for setting, value in event["settings"].items())
        for event in of_kind(events, "change")
    ]
    changed = "\n\nChanges while it ran, which the command does not repeat:\n\n" if changes else ""
    task = config["task"]
    title = known_card(task).title if task in NAMES else escaped(str(task))
    model = f"`model/`: the {makes}, as transformers stores it" if has_model else "no model"
    question = f"\n{_QUESTIONS[makes]}" if has_model else ""
    return f"""# {config["method"]} on {title}

A run of Alignment Playground, {state}.

- `config.json`: its settings at the start
- `events.jsonl`: its log, with one JSON object per line: metrics, samples, changes of settings
- {model}

{results(steps, series(events))}{changed}{chr(10).join(changes)}

## Repeat it

```
{command(config)}
```

or, in Python,

```python
{python(config)}
```{_TASK_HERE if has_task else "" if task in BUILT_IN else _OTHER_TASK}

## Load it

In the folder that holds `{name}`:

```python
from align_core import load_run

run = load_run("{name}")
print(run.metrics.tail(1))  # a row for each step{question}
```
{_export(name) if has_model else ""}"""


def _export(name: str) -> str:
    return f"""
`align-core export {name} my-model` writes the model alone, for
`transformers.AutoModel….from_pretrained("my-model")`, with a model card.
"""
