"""Runs: a network trained on a data set from settings, in a folder that can be gone on with, judged and asked."""
