"""Declares a GPU function, without which a ZeroGPU Space does not start.

On such a Space, import this module before Gradio and torch. A GPU is lent only for single calls,
and the page's runs are too small to gain from one, so they train on the Space's CPU.
"""

from __future__ import annotations

import os

import spaces


@spaces.GPU
def unused() -> None:
    """Never called, so that no visitor's quota is used."""


os.environ["CUDA_VISIBLE_DEVICES"] = ""  # child processes must not look for the GPU
