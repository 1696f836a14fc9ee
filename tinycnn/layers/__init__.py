"""Layers: objects that own weights, gradients and a cache, and call the ops on the rung in force."""

from tinycnn.layers.activation import LogSoftmax, ReLU, Softmax
from tinycnn.layers.base import Layer
from tinycnn.layers.conv import Conv2D
from tinycnn.layers.dense import Dense, Flatten, Pad2D
from tinycnn.layers.pool import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    MaxPool2D,
    MaxPooling2D,
    MinPool2D,
)

__all__ = [
    "AveragePooling2D",
    "AvgPool2D",
    "Conv2D",
    "Dense",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "Layer",
    "LogSoftmax",
    "MaxPool2D",
    "MaxPooling2D",
    "MinPool2D",
    "Pad2D",
    "ReLU",
    "Softmax",
]
