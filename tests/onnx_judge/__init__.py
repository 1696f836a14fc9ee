"""ONNX as a judge: its own test cases, run by tinycnn's ops.

ONNX publishes, with every operator, small models with inputs and the outputs that they must give. An adapter turns an
operator's attributes into the arguments of our op; what the two agree on, nobody here chose.
"""
