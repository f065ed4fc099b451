"""Stored samples of a reference: saved, checked, joined and selected."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from align_core.optimum import ReferenceSamples


def stored() -> ReferenceSamples:
    rng = np.random.default_rng(0)
    return ReferenceSamples(
        prompts=["the film", "a plot – été", "never"],
        tokens=rng.integers(0, 1024, (3, 5, 7)).astype(np.uint16),
        lengths=rng.integers(1, 8, (3, 5)).astype(np.uint8),
        ended=rng.random((3, 5)) < 0.5,
        rewards=rng.normal(size=(3, 5)),
    )


def test_reference_samples_come_back_as_they_were_saved(tmp_path):
    samples = stored()
    samples.save(tmp_path / "reference.npz")
    again = ReferenceSamples.load(tmp_path / "reference.npz")
    assert again.prompts == samples.prompts
    for name in ("tokens", "lengths", "ended"):
        assert np.array_equal(getattr(again, name), getattr(samples, name))
        assert getattr(again, name).dtype == getattr(samples, name).dtype
    assert again.rewards.dtype == np.float64
    assert again.rewards == pytest.approx(samples.rewards, abs=1e-6)


def test_reference_samples_hold_no_pickle(tmp_path):
    stored().save(tmp_path / "reference.npz")
    with zipfile.ZipFile(tmp_path / "reference.npz") as file:
        for name in file.namelist():
            array = np.lib.format.read_array(file.open(name), allow_pickle=False)
            assert not array.dtype.hasobject


def test_a_pickle_is_refused(tmp_path):
    fields = {name: np.zeros((1, 1)) for name in ("tokens", "lengths", "ended", "rewards")}
    prompts = np.array([{"not": "a text"}], dtype=object)
    np.savez_compressed(tmp_path / "bad.npz", prompts=prompts, **fields)
    with pytest.raises(ValueError, match="allow_pickle"):
        ReferenceSamples.load(tmp_path / "bad.npz")


def test_arrays_that_do_not_fit_together_are_refused(tmp_path):
    samples, file = stored(), tmp_path / "reference.npz"
    wrong = (
        {"prompts": ["the film", "never"]},
        {"prompts": [1, 2, 3]},
        {"tokens": samples.tokens[:, :, 0]},
        {"tokens": samples.tokens.astype(np.int64)},
        {"tokens": samples.tokens[:, :4]},
        {"tokens": samples.tokens[:, :, : samples.lengths.max() - 1]},
        {"lengths": samples.lengths.astype(np.int8)},
        {"lengths": samples.lengths[:2]},
        {"ended": samples.ended[:, :4]},
        {"rewards": samples.rewards[:, 0]},
        {"rewards": samples.rewards[:, :4]},
        {"rewards": np.full((3, 5), np.nan)},
        {"tokens": samples.tokens[:, 0], "rewards": samples.rewards[:, 0]}
        | {"lengths": samples.lengths[:, 0], "ended": samples.ended[:, 0]},
    )
    for changes in wrong:
        replace(samples, **changes).save(file)
        with pytest.raises(ValueError, match="expected arrays .prompts, samples. of one shape"):
            ReferenceSamples.load(file)
    full = replace(samples, lengths=np.full((3, 5), 7, np.uint8))
    full.save(file)
    assert (ReferenceSamples.load(file).lengths == 7).all()


def test_parts_are_joined_in_their_order():
    samples = stored()
    parts = [samples.select(["never"]), samples.select(["the film", "a plot – été"])]
    joined, expected = (
        ReferenceSamples.joined(parts),
        samples.select([*parts[0].prompts, *parts[1].prompts]),
    )
    assert joined.prompts == expected.prompts
    for name in ("tokens", "lengths", "ended", "rewards"):
        assert np.array_equal(getattr(joined, name), getattr(expected, name))


def test_selecting_prompts_keeps_the_requested_order():
    samples = stored()
    two = samples.select(["never", "the film"])
    assert two.prompts == ["never", "the film"]
    for name in ("tokens", "lengths", "ended", "rewards"):
        assert np.array_equal(getattr(two, name), getattr(samples, name)[[2, 0]])
    with pytest.raises(KeyError, match="the play"):
        samples.select(["the film", "the play"])
