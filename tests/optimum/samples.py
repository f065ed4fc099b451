"""References whose optimum is known, and samples of them."""

from __future__ import annotations

import numpy as np

# A reference with four texts of these probabilities; 20 samples have exactly these proportions.
CHANCES = np.array([0.5, 0.25, 0.15, 0.1])
REWARDS = np.array([-1.0, 0.5, 2.0, 4.0])
SAMPLES = np.repeat(REWARDS, (20 * CHANCES).astype(int))[None]


def tilted(beta: float) -> np.ndarray:
    """π* of the discrete reference: π_ref exp(r/β), normalised."""
    p = CHANCES * np.exp(REWARDS / beta)
    return p / p.sum()


def bell(prompts: int = 4, samples: int = 2000) -> np.ndarray:
    """Rewards with a standard deviation of 2 nats and a different mean for each prompt."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(prompts, samples)) * 2 + np.arange(prompts)[:, None]
