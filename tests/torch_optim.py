"""PyTorch's optimizers over the steps of a case, software nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinycnn.verify.optimizer_cases import OptimizerCase
from tinycnn.verify.schedule_cases import PlateauCase, ScheduleCase


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


def torch_schedule(case: ScheduleCase) -> list[float]:
    """The rates of PyTorch's scheduler, step by step, for a rate of 1."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = getattr(torch.optim.lr_scheduler, case.torch_kind)(optimizer, **case.torch_options)
    return [rate for _, rate in zip(range(case.length), _rates(optimizer, scheduler), strict=False)]


def _rates(optimizer, scheduler) -> Iterator[float]:
    while True:
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


def torch_plateau(case: PlateauCase, values: list[float]) -> list[float]:
    """The rate after each value."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, threshold_mode="abs", eps=0.0, **case.torch_options
    )
    rates = []
    for value in values:
        optimizer.step()
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates
