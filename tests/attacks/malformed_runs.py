"""Malformed run folders of every kind, which this package never writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOSTILE = "<img src=x onerror=window.hacked=1>"
AT = {"step": 3, "seconds": 4.0}
# Both are in the log of every run below, before its malformed lines.
GOOD = (
    {"kind": "status", "step": 0, "seconds": 1.0, "status": "running", "message": ""},
    {"kind": "metrics", "step": 0, "seconds": 2.0, "metrics": {"eval/kl": 0.0}},
)


def config(**changes: Any) -> Callable[[Path], None]:
    """A config.json with some values of its own."""

    def change(run: Path) -> None:
        file = run / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def configured(content: bytes | str) -> Callable[[Path], None]:
    """A config.json with this content."""
    content = content.encode() if isinstance(content, str) else content
    return lambda run: _ignored((run / "config.json").write_bytes(content))


def logged(*lines: dict[str, Any] | bytes | str) -> Callable[[Path], None]:
    """A log that ends with these lines."""

    def change(run: Path) -> None:
        with (run / "events.jsonl").open("ab") as log:
            for line in lines:
                text = json.dumps(line) if isinstance(line, dict) else line
                log.write((text.encode() if isinstance(text, str) else text) + b"\n")

    return change


def torn(run: Path) -> None:
    with (run / "events.jsonl").open("a") as log:
        log.write('{"kind": "metrics", "step": 9, "sec')


def replaced(name: str, make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Replaces the file `name` by what `make` creates."""

    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        make(run / name)

    return change


def model(**files: bytes | str) -> Callable[[Path], None]:
    """A model folder with these files."""

    def change(run: Path) -> None:
        (run / "model").mkdir()
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            (run / "model" / name.replace("__", ".")).write_bytes(content)

    return change


def replaced_run(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Replaces the run's folder by what `make` creates."""

    def change(run: Path) -> None:
        os.rename(run, run.with_name("aside"))
        make(run)

    return change


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300_000_000)


def _ignored(_: Any) -> None:
    return None


DEEP = "[" * 100_000
LLAMA = json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]})

# Invalid configurations; each of these runs is skipped.
REFUSED: dict[str, Callable[[Path], None]] = {
    "empty": configured(""),
    "blank": configured(" \n"),
    "null": configured("null"),
    "a number": configured("7"),
    "a list": configured("[]"),
    "no keys": configured("{}"),
    "half": configured('{"method": "ppo", "task"'),
    "a BOM": lambda run: configured(b"\xef\xbb\xbf[]")(run),
    "UTF-16 zeros": configured("{".encode("utf-16") + b"\0" * 9),
    "no UTF-8": configured(b'{"method": "\xff\xfe"}'),
    "zeros": configured(b"\0" * 2000),
    "deep": configured(DEEP),
    "deep in a key": configured('{"method": ' + '{"a":' * 100_000),
    "deep and whole": configured('{"method": ' + "[" * 50_000 + "]" * 50_000 + "}"),
    "huge": replaced("config.json", sparse),
    "a huge number": configured('{"steps": ' + "9" * 6000 + "}"),
    "a folder": replaced("config.json", Path.mkdir),
    "a pipe": replaced("config.json", lambda path: os.mkfifo(path)),
    "a loop": replaced("config.json", loop),
    "a dangling link": replaced("config.json", lambda path: path.symlink_to("nowhere")),
    "a device": replaced("config.json", lambda path: path.symlink_to("/dev/zero")),
    "another program's": configured('{"model_type": "llama"}'),
    "unknown keys": config(wings=2),
    "a newer version": config(format=9, schedule={"kind": "cosine"}),
    "an unknown method": config(method="alchemy"),
    "a method of no text": config(method=["ppo"]),
    "an unknown task": config(task="opera"),
    "a task of no text": config(task=7),
    "a task of objects": config(task={"kind": []}),
    "a beta of text": config(beta="x"),
    "a negative beta": config(beta=-1),
    "a beta of NaN": config(beta=float("nan")),
    "a beta of infinity": config(beta=float("inf")),
    "steps of a half": config(steps=1.5),
    "negative steps": config(steps=-4),
    "endless steps": config(steps=10**30),
    "endless intervals": config(eval_every=10**30),
    "endless prompts": config(eval_prompts=10**30),
    "a switch of text": config(freeze_trunk="perhaps"),
    "a model of objects": config(model={"a": 1}),
    "an empty model": config(model=""),
    "half a surrogate": config(model="\ud800"),
    "true steps": config(steps=True),
    "the run is a file": replaced_run(Path.touch),
    "the run is a loop": replaced_run(loop),
    "the run is a pipe": replaced_run(os.mkfifo),
    "the log is a folder": replaced("events.jsonl", Path.mkdir),
    "the log is a pipe": replaced("events.jsonl", os.mkfifo),
    "the log is a loop": replaced("events.jsonl", loop),
    "the log is a device": replaced("events.jsonl", lambda path: path.symlink_to("/dev/zero")),
    "the log is huge": replaced("events.jsonl", sparse),
}

# These runs have malformed parts that can be left out; each is shown without them.
SHOWN: dict[str, Callable[[Path], None]] = {
    "no log": lambda run: (run / "events.jsonl").unlink(),
    "an empty log": replaced("events.jsonl", Path.touch),
    "a log elsewhere": replaced("events.jsonl", lambda path: path.symlink_to("/etc/hosts")),
    "a binary log": logged(bytes(range(256)) * 40),
    "half a line": torn,
    "one endless line": logged("[" * 400_000),
    "a kind of list": logged({"kind": [], **AT}),
    "no kind": logged(AT),
    "deep JSON": logged('{"kind":' * 100_000),
    "a status without one": logged({"kind": "status", **AT, "message": ""}),
    "a status of another version": logged(
        {"kind": "status", **AT, "status": "dreaming", "message": ""}
    ),
    "a status with deep causes": logged(
        json.dumps({**GOOD[0], "cause": 0})[:-2] + "[" * 150 + "]" * 150 + "}"
    ),
    "a status with foreign causes": logged(
        {**GOOD[0], "cause": {"kind": ["x"], "values": 3}},
        {**GOOD[0], "cause": {"kind": "cut_off", "values": {"cause": 7}}},
        {**GOOD[0], "cause": {"kind": "refused", "values": {"lines": [1, {}]}}},
        {**GOOD[0], "cause": {"kind": "time_limit", "values": {}}},
        {**GOOD[0], "cause": {"kind": "memory"}, "message": HOSTILE},
    ),
    "a resume without a step": logged({"kind": "resume", "seconds": 1.0}),
    "a resume to before the start": logged({"kind": "resume", "step": -4, "seconds": 1.0}),
    "negative steps": logged({**GOOD[1], "step": -1}),
    "steps beyond integers": logged({**GOOD[1], "step": 10**40}),
    "NaN": logged('{"kind": "metrics", "step": 1, "seconds": NaN, "metrics": {"eval/kl": NaN}}'),
    "Infinity": logged('{"kind": "metrics", "step": 1, "seconds": 1, "metrics": {"a": Infinity}}'),
    "changes of text": logged({"kind": "change", **AT, "settings": {"beta": "x"}}),
    "changes of everything": logged({"kind": "change", **AT, "settings": {"task": "opera"}}),
    "samples of null": logged({"kind": "samples", **AT, "samples": None}),
    "samples without texts": logged({"kind": "samples", **AT, "samples": [{"prompt": HOSTILE}]}),
    "metrics with foreign names": logged({**GOOD[1], "metrics": {HOSTILE: 1.0, "__proto__": 2}}),
    "an owner of a list": lambda run: _ignored((run / "owner.json").write_text("[]")),
    "a deep owner": lambda run: _ignored((run / "owner.json").write_text(DEEP)),
    "an owner that is a pipe": lambda run: os.mkfifo(run / "owner.json"),
    "an owner that is a folder": lambda run: (run / "owner.json").mkdir(),
    "a model that is a file": lambda run: (run / "model").touch(),
    "an empty model folder": model(),
    "junk weights": model(config__json=LLAMA, model__safetensors=b"\xff" * 900),
    "junk tokenizer": model(config__json=LLAMA, tokenizer__json="[" * 9000),
    "foreign architectures": model(config__json='{"model_type": 7, "architectures": 5}'),
    "code for a model": model(config__json=LLAMA[:-1] + ', "auto_map": {"AutoModel": "x.Y"}}'),
    "a model that is a pipe": lambda run: (
        (run / "model").mkdir(),
        os.mkfifo(run / "model" / "config.json"),
    )[0],
    "times of the future": lambda run: os.utime(run / "events.jsonl", (2e10, 2e10)),
    "a scale of text": config(reward_scale="x"),
    "foreign versions": config(versions=[1, {"torch": 2}]),
    "a model of markup": config(model=HOSTILE),
    "preferences with zeros": config(preferences="a\0b"),
}

# Folder names that no run can have; none of these folders is listed.
NAMES = ("..x", " ", "a\nb", "é", "2026-01-02-030405-ppo-reviews<b>", "x" * 200, "2026-1-2-ppo")
