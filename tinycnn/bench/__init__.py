"""The benchmark: how long the networks and ops take here, how much memory, and how that compares with PyTorch.

Two numbers measured minutes apart say little on a machine that others use, or that grows warm. So tinycnn and PyTorch
each run in a process of their own, with threads and memory of their own, and take turns within one run: what slows one
slows the other, and only their *ratio* is to be trusted. Both start from the same weights and see the same batch, and
their first losses are compared, for a benchmark of different mathematics is none.

    cases, networks, ops   what is measured, in tinycnn and in PyTorch
    child, talk            a process that measures on command, and the one that commands
    turns                  a case, from two processes that take turns, as rows
    peaks, cold, scaling   the machine's best matrix product; the first call's compiling; time against size
    rungs, pictures        the speed ladder, one convolution on four rungs; reading and augmenting data
    rows, table, page, figures   what was measured, as numbers, text, Markdown and pictures
"""

from tinycnn.bench.rungs import ladder

__all__ = ["ladder"]
