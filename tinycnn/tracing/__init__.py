"""The step-through: one training step of a real network, recorded step by step and number by number."""

from tinycnn.tracing.record import trace
from tinycnn.tracing.recorded import Trace
from tinycnn.tracing.steps import Step

__all__ = ["Step", "Trace", "trace"]
