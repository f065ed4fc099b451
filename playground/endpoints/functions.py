"""The functions that Gradio describes to programs: by their names, types and texts.

Annotations are not postponed (`from __future__ import annotations`), because Gradio reads the types
of the results from them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from playground.endpoints.questions import Questions

Function = Callable[..., Awaitable[dict[str, Any]]]


def functions(questions: Questions) -> list[Function]:
    """The functions. Gradio sets attributes on them, which methods do not allow."""

    async def optimum(
        request: gr.Request, task: str = "reviews", beta: float = 0.7, prompts: int = 4
    ) -> dict[str, Any]:
        """The best policy at a β, for which reward minus β times KL is highest: its reward, its
        gain over the reference and its KL in nats, and what it writes. `odds` is the probability
        of a text under this policy, divided by its probability under the reference.

        Args:
            task: a task with known rewards, such as reviews or capitals.
            beta: the reward that one nat of KL costs, from 0 to 1000.
            prompts: the number of prompts for which texts are returned, from 1 to 64.
        """
        return await questions.optimum(request, task=task, beta=beta, prompts=prompts)

    async def score(
        request: gr.Request,
        prompt: str,
        completion: str,
        task: str = "reviews",
        model: str | None = None,
        reference: str | None = None,
    ) -> dict[str, Any]:
        """The gold reward of a text and the score of the task's reward model, in nats, and its
        log-probability under a model and under the reference, in total and for each token.

        Args:
            prompt: the beginning of the text, at most 2000 characters.
            completion: its continuation, at most 2000 characters.
            task: the task whose gold reward and reward model are used.
            model: an embedded model or reward model, or a run; by default the task's reference.
            reference: the model to compare with; by default the one that the model started from.
        """
        arguments = {"task": task, "model": model, "reference": reference, "prompt": prompt}
        return await questions.score(request, **arguments, completions=[completion])

    async def recorded_run(request: gr.Request, preset: str) -> dict[str, Any]:
        """The recorded run of a preset: its configuration, its curves as pairs of step and value,
        and the texts of the policy and the reference at every evaluation.

        Args:
            preset: the name of a preset, such as healthy-ppo.
        """
        return await questions.recorded_run(request, preset)

    return [optimum, score, recorded_run]
