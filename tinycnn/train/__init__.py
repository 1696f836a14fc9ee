"""Training: the loop, history, metrics, and what happens between steps and epochs."""

from tinycnn.train.callbacks import Callback, EarlyStopping, Log, TimeBudget, callbacks_of
from tinycnn.train.checkpoint import Checkpoint
from tinycnn.train.find_rate import RateSearch, find_rate
from tinycnn.train.history import Evaluation, History, Mean
from tinycnn.train.interrupts import Terminated
from tinycnn.train.loop import METRICS, fit, numbered_batches, train_step
from tinycnn.train.progress import Progress
from tinycnn.train.run import Run
from tinycnn.train.state import load_state, save_state
from tinycnn.train.watch import Watch

__all__ = [
    "METRICS",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Evaluation",
    "History",
    "Log",
    "Mean",
    "Progress",
    "RateSearch",
    "Run",
    "Terminated",
    "TimeBudget",
    "Watch",
    "callbacks_of",
    "find_rate",
    "fit",
    "load_state",
    "numbered_batches",
    "save_state",
    "train_step",
]
