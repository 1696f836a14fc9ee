"""Training: the loop, history, metrics, and what happens between epochs."""

from tinycnn.train.history import Evaluation, History
from tinycnn.train.loop import METRICS, Mean, fit, numbered_batches, train_step
from tinycnn.train.progress import Progress

__all__ = ["METRICS", "Evaluation", "History", "Mean", "Progress", "fit", "numbered_batches", "train_step"]
