"""A game of several turns, in a loop of one's own: the policy guesses a word from hints.

The host thinks of one of seven words, from worst to best. After a wrong guess it says on which side
the word is, + or -, and after the third the game is lost. Halving what is left always wins.

    python examples/own_loop.py [--model MODEL]
"""

import argparse
import random

from align_core import PPOConfig, PPOTrainer
from align_core.models.loading import load_policy, load_tokenizer

WORDS = ["awful", "bad", "dull", "fine", "good", "great", "superb"]
TURNS, GAMES = 3, 48
SETTINGS = {"learning_rate": 2e-3, "kl_coef": 0.01, "num_ppo_epochs": 2, "num_mini_batches": 2}


def hint(guess: str, secret: str) -> str:
    if guess not in WORDS:
        return ""
    return f"{guess} {'+' if WORDS.index(guess) < WORDS.index(secret) else '-'} "


def play(trainer: PPOTrainer, rng: random.Random) -> float:
    """Play GAMES games at once, and learn from them. Returns the share that was won."""
    secrets = [rng.choice(WORDS) for _ in range(GAMES)]
    prompts, running = ["The film was"] * GAMES, list(range(GAMES))
    rollouts, earned = [], []  # of each turn; earned[turn][game] is the reward of its guess
    while running and len(rollouts) < TURNS:
        rollouts.append(trainer.rollout([prompts[game] for game in running]))
        earned.append({})
        for game, guess in zip(running, map(str.strip, rollouts[-1].completions), strict=True):
            earned[-1][game] = float(guess == secrets[game]) - 0.5 * (guess not in WORDS)
            prompts[game] = hint(guess, secrets[game]) + prompts[game]
        running = [game for game in running if earned[-1][game] < 1]
    # A game is an episode of several turns: what a hint earns later counts for its guess, too.
    scores = [[*of.values()] for of in earned]
    trainer.learn(rollouts, scores, episodes=[[*of] for of in earned])
    return 1 - len(running) / GAMES


def main(arguments: list[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sft-reviews", help="a folder or a MODEL by name")
    parser.add_argument("--rollouts", type=int, default=100)
    options = parser.parse_args(arguments)
    size = {"per_device_train_batch_size": TURNS * GAMES, "max_steps": 4 * options.rollouts}
    args = PPOConfig(output_dir="runs/game", response_length=1, stop_token=None, **size, **SETTINGS)
    trainer = PPOTrainer(args, load_tokenizer(options.model), load_policy(options.model), None)
    won, rng = [], random.Random(0)
    while not trainer.done:
        won.append(play(trainer, rng))
        print(f"rollout {len(won)}: {won[-1]:.0%} of games won", flush=True)
    return won


if __name__ == "__main__":
    main()
