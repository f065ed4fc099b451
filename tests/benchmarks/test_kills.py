"""The evaluation of the benchmark of kills."""

from __future__ import annotations

import json

from benchmarks import kills


def weights(size):
    header = json.dumps({"w": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


def test_a_model_is_whole_with_all_its_weights(tmp_path):
    model = tmp_path / "model"
    assert not kills.is_whole(model)
    model.mkdir()
    (model / "model.safetensors").write_bytes(weights(3))
    assert not kills.is_whole(model), "without a configuration"
    (model / "config.json").write_text("{}")
    assert kills.is_whole(model)
    for cut in (weights(2), weights(3)[:20], b""):
        (model / "model.safetensors").write_bytes(cut)
        assert not kills.is_whole(model)


def test_losses_are_marked():
    good = {"kills": 40, "votes": 300, "lost_votes": 0, "runs": 40, "lost_runs": 0}
    good |= {"lost_models": 0, "unsaid": 0, "ends": {"failed": 30, "finished": 10}}
    bad = good | {"lost_votes": 2, "unsaid": 1}
    results = {name: good for name in kills.PROCESSES} | {"server": bad}
    results |= {"export": {"kills": 40, "lost_models": 0}, "prepare": {"kills": 39, "unsaid": 0}}
    rows = kills.render(results | {"machine": "M", "moments": 40}).splitlines()[-6:]
    assert rows[0] == "| worker | 40 | 300 | 0 | 40 | 0 | 0 | 0 | 30 failed, 10 finished |"
    assert (
        rows[3] == "| server | 40 | 300 | **2 ✗** | 40 | 0 | 0 | **1 ✗** | 30 failed, 10 finished |"
    )
    assert rows[4:] == [
        "| export | 40 | – | – | – | – | 0 | – | – |",
        "| prepare | 39 | – | – | – | – | – | 0 | – |",
    ]
