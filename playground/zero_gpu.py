"""What a ZeroGPU Space asks for; import it there, before Gradio and torch.

Such a Space does not start unless a function is declared that would use its GPU. The page's runs
are too small to gain by one, and a GPU is lent for single calls: they train on the Space's CPU.
"""

from __future__ import annotations

import os

import spaces


@spaces.GPU
def unused() -> None:
    """Never called, so that no visitor's quota is used."""


os.environ["CUDA_VISIBLE_DEVICES"] = ""  # child processes must not look for the GPU
