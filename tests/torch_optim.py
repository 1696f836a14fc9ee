"""PyTorch's optimizers over the steps of a case, software nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinycnn.verify.optimizer_cases import OptimizerCase


def torch_trajectory(case: OptimizerCase, params: dict, grads: list[dict]) -> Iterator[dict[str, np.ndarray]]:
    """The weights after each step, as PyTorch's optimizer and its functions for clipping make them."""
    import torch

    theirs = {key: torch.nn.Parameter(torch.tensor(w)) for key, w in params.items()}
    decay = {key: value for key, value in case.common.items() if key == "weight_decay"}
    judge = getattr(torch.optim, case.torch_kind)(list(theirs.values()), **case.torch_options, **decay)
    for step in grads:
        for key, parameter in theirs.items():
            parameter.grad = torch.tensor(step[key])
        if "clip_value" in case.common:
            torch.nn.utils.clip_grad_value_(theirs.values(), case.common["clip_value"])
        if "clip_norm" in case.common:
            torch.nn.utils.clip_grad_norm_(theirs.values(), case.common["clip_norm"])
        judge.step()
        yield {key: parameter.detach().numpy().copy() for key, parameter in theirs.items()}
