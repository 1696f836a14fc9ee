"""Layers: objects that own weights, gradients and a cache, and call the ops on the rung in force."""

from tinycnn.layers.activation import ELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from tinycnn.layers.base import Layer
from tinycnn.layers.conv import Conv1D, Conv2D, ConvTranspose2D
from tinycnn.layers.dense import Dense, Flatten, Pad2D
from tinycnn.layers.dropout import Dropout
from tinycnn.layers.norm import BatchNorm1D, BatchNorm2D, GroupNorm, LayerNorm
from tinycnn.layers.pool import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    MaxPool2D,
    MaxPooling2D,
    MinPool2D,
)
from tinycnn.layers.resize import MaxUnpool2D, Reshape, Upsample2D

__all__ = [
    "ELU",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNorm1D",
    "BatchNorm2D",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "MaxPool2D",
    "MaxPooling2D",
    "MaxUnpool2D",
    "MinPool2D",
    "Pad2D",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Upsample2D",
]
