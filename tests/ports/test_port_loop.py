"""A loop of `rollout` and `learn` has the numbers of `train`, also after a resume."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from align_core import PPOConfig, PPOTrainer
from align_core.trainers.ppo.loop import _row
from align_core.trainers.ppo.rows import RolloutBatches
from tests import toy
from tests.ports.ported import PROMPTS, history, made, rows, trained

SETTINGS = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 4,
    "num_mini_batches": 2,
    "num_ppo_epochs": 2,
    "total_episodes": 24,
    "learning_rate": 1e-2,
    "kl_target": 0.01,
    "kl_horizon": 16,
    "sync_ref_model": True,
    "missing_eos_penalty": 0.5,
    "warmup_steps": 1,
}


def looped(trainer, rollouts: int = 3, of: int = 3) -> None:
    """The loop of `train`, with its prompts in its order, and its reward."""
    batches = list(RolloutBatches(rows=4, size=8, rollouts=of, repeats=1, seed=42))
    for batch in batches[of - rollouts :]:
        prompts = [PROMPTS[i] for i in batch]
        rollout = trainer.rollout(prompts)
        scores = toy.reward(prompts, rollout.completions, rollout.completion_ids)
        trainer.learn(rollout, scores)


def same_weights(ours, theirs) -> bool:
    pairs = zip(
        [*ours.model.parameters(), *ours.reference.parameters()],
        [*theirs.model.parameters(), *theirs.reference.parameters()],
        strict=True,
    )
    return all(torch.equal(a, b) for a, b in pairs)


def alone(tmp_path, **changes):
    """A trainer without a reward or a data set."""
    settings = {"output_dir": str(tmp_path / "own"), "use_cpu": True, "report_to": "none"}
    settings |= {"disable_tqdm": True, "response_length": 4, "save_strategy": "no", **changes}
    return PPOTrainer(PPOConfig(**settings), toy.tokenizer(), toy.policy(), ref_model=None)


def test_the_loop_has_the_weights_and_the_log_of_train(tmp_path):
    whole = trained(tmp_path, **SETTINGS)
    own = alone(tmp_path, **SETTINGS)
    assert not own.done
    looped(own)
    assert own.done and same_weights(own, whole)
    assert own.beta == whole.beta and own.state.global_step == whole.state.global_step == 12
    for ours, theirs in zip(own.state.log_history, whole.state.log_history, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"eps"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name
    assert history(own, "episode") == [8, 16, 24]
    with pytest.raises(ValueError, match="expected a run that is not done, got step 12"):
        own.rollout(PROMPTS)


def test_a_callback_ends_the_loop(tmp_path):
    class Stops(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = True

    own = alone(tmp_path, total_episodes=16, num_ppo_epochs=1)
    own.add_callback(Stops())
    rollout = own.rollout(PROMPTS)
    assert not own.done
    own.learn(rollout, [1.0] * 4)
    assert own.done and own.state.global_step == 1 < own.args.max_steps


def test_the_loop_is_resumed(tmp_path):
    saves = {**SETTINGS, "save_strategy": "steps", "save_steps": 1}
    whole = alone(tmp_path, **saves)
    looped(whole)
    resumed, checkpoint = alone(tmp_path, **saves), tmp_path / "own" / "checkpoint-4"
    resumed.resume(checkpoint)
    assert (resumed.state.global_step, resumed.state.episode) == (4, 8)
    stored = torch.load(checkpoint / "rng_state.pth", weights_only=False)["cpu"]
    assert torch.get_rng_state().equal(stored), "dropout goes on as it would have"
    looped(resumed, rollouts=2)
    assert same_weights(resumed, whole) and history(resumed, "episode") == [8, 16, 24]
    with pytest.raises(ValueError, match="resume.. before the first rollout, got a loop that has"):
        resumed.resume()
    finished = alone(tmp_path, **saves)
    finished.resume()
    assert finished.done


def test_the_fields_of_a_rollout(tmp_path):
    own = alone(tmp_path, total_episodes=8)
    rollout = own.rollout(PROMPTS)
    assert len(rollout.completions) == len(rollout.completion_ids) == 4
    shape = rollout.mask.shape
    assert shape == rollout.logp.shape == rollout.ref_logp.shape == rollout.values.shape
    assert rollout.kl.abs().max() < 1e-6 and (rollout.logp[rollout.mask] < 0).all()
    for text, ids, ended in zip(
        rollout.completions, rollout.completion_ids, rollout.ended, strict=True
    ):
        assert bool(ended) == (ids[-1] == 0)
        assert toy.tokenizer().decode(ids, skip_special_tokens=True).split() == text.split()
    with torch.no_grad():
        ids = toy.tokenizer()(PROMPTS[0])["input_ids"] + rollout.completion_ids[0]
        logits = own.policy(torch.tensor([ids])).logits[0].log_softmax(-1)
    first = len(ids) - len(rollout.completion_ids[0])
    expected = [logits[i - 1, ids[i]].item() for i in range(first, len(ids))]
    assert rollout.logp[0][rollout.mask[0]].tolist() == pytest.approx(expected, abs=1e-5)


def test_turns_have_separate_noise_and_are_learned_together(tmp_path):
    own = alone(tmp_path, total_episodes=16, num_ppo_epochs=1)
    turns, seed = [], own._rollout_seed
    own._rollout_seed = lambda turn=0: turns.append(turn) or seed(turn)
    first, second = own.rollout(PROMPTS), own.rollout(PROMPTS)
    assert first.completion_ids != second.completion_ids and turns == [0, 1]
    own.learn([first, second], [[1.0] * 4, [0.0] * 4])
    assert len(own.latest.episodes.tokens) == 8 and own.state.episode == 8
    assert own.latest.episodes.scores.tolist() == [1.0] * 4 + [0.0] * 4
    turns.clear()
    own.rollout(PROMPTS)
    assert turns == [0]


def test_the_reference_moves_once_before_the_first_turn_after_an_update(tmp_path):
    own, moved = alone(tmp_path, total_episodes=16, num_ppo_epochs=1), []
    own._move_reference = lambda: moved.append(own.state.global_step)
    first, second = own.rollout(PROMPTS), own.rollout(PROMPTS)
    own.learn([first, second], [[1.0] * 4, [0.0] * 4])
    assert moved == [], "the policy is where the reference is"
    for _ in range(2):
        own.rollout(PROMPTS)
    assert moved == [1]


def test_advantages_reach_back_over_the_turns_of_an_episode(tmp_path):
    """Two games end in the first turn. Each turn has a reward, and −β·KL at every token."""
    beta, gamma, lam = 0.3, 0.9, 0.8
    settings = {"kl_coef": beta, "gamma": gamma, "lam": lam, "whiten_advantages": False}
    own = alone(tmp_path, total_episodes=6, max_steps=4, num_ppo_epochs=1, **settings)
    own.reference = toy.policy(1)
    torch.nn.init.normal_(own.model.value_head.linear.weight, std=0.02)
    first, second = own.rollout(PROMPTS), own.rollout([PROMPTS[1], PROMPTS[3]])
    own.learn([first, second], [[1.0, -1.0, 2.0, 0.5], [3.0, 4.0]], episodes=["abcd", "bd"])
    assert own.latest.episodes.tokens.shape[0] == 6
    for turns, paid in ([[0], [1.0]], [[1, 4], [-1.0, 3.0]], [[2], [2.0]], [[3, 5], [0.5, 4.0]]):
        rewards, values, ours = [], [], []
        for row, score in zip(turns, paid, strict=True):
            episodes, mask = own.latest.episodes, own.latest.episodes.mask[row]
            kl = (episodes.logp - episodes.ref_logp)[row][mask]
            assert kl.abs().min() > 0
            of_turn = (-beta * kl).tolist()
            of_turn[-1] += score
            rewards += of_turn
            values += episodes.values[row][mask].tolist()
            ours += own.latest.advantages[row][mask].tolist()
        assert ours == pytest.approx(plain(rewards, values, gamma, lam), abs=1e-5)
    again = alone(tmp_path, total_episodes=6, max_steps=4, num_ppo_epochs=1)
    two = [again.rollout(PROMPTS[:2]), again.rollout(PROMPTS[:1])]
    line = r"episodes: expected lists of \[2, 1\] different names, one for each comp.*, got "
    for names in ([["a"], ["a"]], [["a", "a"], ["a"]]):
        with pytest.raises(ValueError, match=line):
            again.learn(two, [[0.0, 0.0], [0.0]], episodes=names)


def test_invalid_arguments_of_learn_are_refused(tmp_path):
    own = alone(tmp_path, total_episodes=16, num_mini_batches=4)
    with pytest.raises(ValueError, match="prompts: expected one or more, got 0"):
        own.rollout([])
    rollout = own.rollout(PROMPTS[:3])
    with pytest.raises(ValueError, match="scores: expected 3 numbers, .*, got 1"):
        own.learn(rollout, [1.0])
    with pytest.raises(ValueError, match="expected 4 to 8 episodes, .*, got 3"):
        own.learn(rollout, [1.0] * 3)
    with pytest.raises(ValueError, match="expected 4 to 8 episodes, .*, got 9"):
        own.learn(own.rollout([*PROMPTS, *PROMPTS, *PROMPTS[:1]]), [1.0] * 9)
    with pytest.raises(ValueError, match=r"rollout\(prompts\) and learn\(rollout, scores\) need"):
        own.train()
    with pytest.raises(ValueError, match="reward_model: expected one for the scores of samples"):
        own.evaluate(rows())
    own.learn(own.rollout(PROMPTS), [1.0] * 4)  # as many as there are minibatches
    assert own.state.episode == 4
    two_each = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    own = alone(tmp_path, total_episodes=16, num_mini_batches=2, **two_each)
    rollout = own.rollout(PROMPTS[:3])
    with pytest.raises(ValueError, match="expected 4 to 8 episodes, .*, got 3"):
        own.learn(rollout, [1.0] * 3)  # two minibatches in two pieces each


def plain(rewards, values, gamma: float, lam: float) -> list[float]:
    """Advantages of one text, computed from its rewards and values one by one."""
    ahead, next_value, advantages = 0.0, 0.0, []
    for reward, value in zip(reversed(rewards), reversed(values), strict=True):
        ahead = reward + gamma * next_value - value + gamma * lam * ahead
        advantages.append(ahead)
        next_value = value
    return advantages[::-1]


def test_rewards_per_token_have_the_advantages_of_a_plain_twin(tmp_path):
    """Each "good" is rewarded at its own token; the KL penalty is the same as for whole texts."""

    def reward(completion_ids, **_):
        return [
            [2.0 * (token == 8) - 1.0 * (token == 9) for token in ids] for ids in completion_ids
        ]

    beta, gamma, lam = 0.3, 0.9, 0.8
    settings = {"kl_coef": beta, "gamma": gamma, "lam": lam, "whiten_advantages": False}
    parts = {"ref_model": toy.policy(1), "value_model": toy.reward_model(), **settings}
    trainer = made(tmp_path, reward=reward, response_length=8, **parts)
    trainer._rollout([{"prompt": prompt} for prompt in PROMPTS * 8])
    episodes, advantages = trainer.latest.episodes, trainer.latest.advantages
    assert (episodes.tokens == 8).any() and len({*episodes.mask.sum(1).tolist()}) > 1
    for row, mask in enumerate(episodes.mask):
        columns = (episodes.tokens, episodes.logp, episodes.ref_logp, episodes.values)
        ids, logp, ref_logp, values = (column[row][mask].tolist() for column in columns)
        rewards = np.array([2.0 * (token == 8) - 1.0 * (token == 9) for token in ids])
        rewards -= beta * (np.array(logp) - np.array(ref_logp))
        expected = plain(rewards.tolist(), values, gamma, lam)
        assert advantages[row][mask].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ("the film", "a list of texts, conversations, .*, got 'the film'"),
        ({"prompt": "the film"}, "a list of texts, conversations, .*, got {'prompt'"),
        (iter(PROMPTS), "a list of texts, conversations, .*, got <list_iterator"),
        ([], "one or more, got 0"),
        ([{"role": "user", "content": "the"}], "rows with prompt or input_ids, .*, got {'role'"),
        ([2, 4], "text or messages, got 2"),
        ([None], "text or messages, got nothing"),
    ],
)
def test_prompts_of_another_form_are_refused(tmp_path, prompts, expected):
    with pytest.raises(ValueError, match=f"^prompts?: expected {expected}"):
        alone(tmp_path, max_steps=4).rollout(prompts)


def test_prompts_may_be_a_padded_tensor(tmp_path):
    trainer = alone(tmp_path, max_steps=4)
    rollout = trainer.rollout(torch.tensor([[1, 2, 4], [2, 4, 6]]))
    assert rollout.episodes.prompt_mask.sum(1).tolist() == [2, 3]
    with pytest.raises(TypeError, match="^rollout: expected a result of rollout.prompts., got"):
        trainer.learn([0.0, 0.0], rollout)


def test_a_prompt_is_a_row_of_token_ids_or_of_text():
    talk = [{"role": "user", "content": "the"}]
    for ids in ([2], (2, 4)):
        assert _row(ids) == {"input_ids": ids}
    for prompt in ("the film", talk, [], None):
        assert _row(prompt) == {"prompt": prompt}
    own = {"prompt": "the film", "answer": 3}
    assert _row(own) == own and _row(own) is not own
