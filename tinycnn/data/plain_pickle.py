"""A pickle read as data: lists, dicts, text, bytes, numbers and arrays of numbers, and nothing that could be run.

A pickle is a program for a small machine with a stack, and the usual machine calls whatever function the program names.
CIFAR is published as pickles. So this file is another machine, which knows the instructions that plain data need: a few
names stand for "an array", "its type" and "bytes written as text", and mean nothing else here. No function of NumPy is
called with what the file says before the sizes are known to fit, and every other name or instruction is refused.
Source: the instructions are documented in Python's own `pickletools`.
"""

import math
from typing import Any

import numpy as np

MOST_STEPS = 20_000_000
KINDS = "biuf"  # truth values, integers, floats: no objects, no records
PUSH = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8",
))  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NAMES = {
    "numpy.core.multiarray _reconstruct": "make",
    "numpy._core.multiarray _reconstruct": "make",
    "numpy.core.numeric _frombuffer": "whole",
    "numpy._core.numeric _frombuffer": "whole",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
}


class _Name:
    """One of the names above: a mark on the stack, not the function it is called after."""

    def __init__(self, role: str):
        self.role = role


class _Type:
    """The type of an array's numbers, once it is known to be numbers."""

    def __init__(self, code: Any):
        if not isinstance(code, str) or len(code) > 8:
            raise ValueError("an array's type is no text")
        try:
            self.dtype = np.dtype(code)
        except (TypeError, ValueError, SyntaxError):
            raise ValueError(f"{code!r} is no type of numbers") from None
        if self.dtype.kind not in KINDS or self.dtype.shape or self.dtype.names:
            raise ValueError(f"arrays of {code!r} are not read")

    def build(self, state: Any) -> None:
        """Take the byte order; the rest of a type's state is for records."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("|", "<", ">", "="):
            raise ValueError("an array's type is not as NumPy writes it")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array that is not there yet."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """(version, shape, type, columns first, bytes): an array if the bytes are as many as the shape needs."""
        match state:
            case (int(), tuple() as shape, _Type() as kind, int() as by_column, str() | bytes() | bytearray() as data):
                raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)
            case _:
                raise ValueError("an array is not as NumPy writes it")
        if len(shape) > 32 or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"{shape!r:.80} is no shape")
        if kind.dtype.itemsize * math.prod(shape) != len(raw):
            raise ValueError(f"an array of {kind.dtype} and shape {shape!r:.80} does not fit its {len(raw):,} bytes")
        self.value = np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if by_column else "C")


def read_pickle(data: bytes) -> Any:
    r"""What a pickle of plain data holds; the bytes that Python 2 called text come as text.

    Raises ValueError for a pickle that is cut short, or that holds or calls anything but plain data.

    >>> read_pickle(b"(dp0\nS'labels'\np1\n(lp2\nI3\naI5\nas.")
    {'labels': [3, 5]}
    >>> read_pickle(b"cos\nsystem\n(S'echo hello'\ntR.")
    Traceback (most recent call last):
    ValueError: the pickle names 'os system', which is no plain data
    """
    machine = _Machine()
    from pickletools import genops  # reads instructions one by one, and runs none

    try:
        for step, (op, argument, _) in enumerate(genops(data)):
            if step > MOST_STEPS:
                raise ValueError("the pickle is too long")
            if op.name == "STOP":
                return _plain(machine.pop())
            machine.run(op.name, argument)
    except (IndexError, UnicodeError, OverflowError, AttributeError) as error:
        raise ValueError(f"the pickle is damaged: {error}") from None
    raise ValueError("the pickle is cut short")


class _Machine:
    """The stack, the marks on it, and what is remembered under a number."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        """Take the top; a mark protects what lies under it."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("the pickle takes more than there is")
        return self.stack.pop()

    def to_mark(self) -> list[Any]:
        """Take all down to the last mark."""
        if not self.marks:
            raise ValueError("the pickle goes back to a mark that is not there")
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def run(self, op: str, argument: Any) -> None:
        """One instruction; ValueError for one that plain data do not need."""
        stack = self.stack
        if op in ("PROTO", "FRAME"):
            return
        if op in PUSH:
            stack.append(argument)
        elif op in CONSTANTS:
            stack.append(CONSTANTS[op])
        elif op == "MARK":
            self.marks.append(len(stack))
        elif op in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[op]())
        elif op in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else int(argument)] = stack[-1]
        elif op in ("GET", "BINGET", "LONG_BINGET"):
            if int(argument) not in self.memo:
                raise ValueError("the pickle recalls what it never stored")
            stack.append(self.memo[int(argument)])
        elif op == "POP":
            self.pop()
        else:
            self.run_group(op, argument)

    def run_group(self, op: str, argument: Any) -> None:
        """An instruction that makes one thing of several."""
        if op in TUPLES:
            stack = [self.pop() for _ in range(TUPLES[op])]
            self.stack.append(tuple(reversed(stack)))
        elif op in ("TUPLE", "LIST"):
            self.stack.append((tuple if op == "TUPLE" else list)(self.to_mark()))
        elif op == "DICT":
            pairs = self.to_mark()
            self.stack.append({})
            self.set_items(pairs)
        elif op in ("APPEND", "APPENDS"):
            more = [self.pop()] if op == "APPEND" else self.to_mark()
            if not isinstance(self.stack[-1], list):
                raise ValueError("the pickle appends to what is no list")
            self.stack[-1].extend(more)
        elif op in ("SETITEM", "SETITEMS"):
            self.set_items([self.pop(), self.pop()][::-1] if op == "SETITEM" else self.to_mark())
        elif op in ("GLOBAL", "STACK_GLOBAL"):
            name = argument if op == "GLOBAL" else " ".join(map(str, [self.pop(), self.pop()][::-1]))
            if name not in NAMES:
                raise ValueError(f"the pickle names {name[:60]!r}, which is no plain data")
            self.stack.append(_Name(NAMES[name]))
        elif op == "REDUCE":
            given, name = self.pop(), self.pop()
            self.stack.append(_made(name, given))
        elif op == "BUILD":
            state = self.pop()
            if not isinstance(self.stack[-1], _Array | _Type):
                raise ValueError("the pickle sets the state of what is no array")
            self.stack[-1].build(state)
        else:
            raise ValueError(f"the pickle uses {op}, which plain data do not need")

    def set_items(self, pairs: list[Any]) -> None:
        """Put keys and values into the dict on top; keys are text, bytes or numbers, which hash at once."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise ValueError("the pickle sets items of what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) not in (str, bytes, int, float, bool):
                raise ValueError(f"a key is a {type(key).__name__}, not text or a number")
            target[key] = value


def _made(name: Any, given: Any) -> Any:
    """What one of the known names makes of what it is given."""
    match getattr(name, "role", None), given:
        case "make", (_Name(role="ndarray"), (0,), "b" | b"b"):
            return _Array()
        case "dtype", (code, 0 | False, 1 | True):
            return _Type(code)
        case "whole", (bytes() | bytearray() as data, _Type() as kind, tuple() as shape, "C" | "F" as order):
            array = _Array()
            array.build((1, shape, kind, order == "F", data))
            return array
        case "encode", (str() as text, "latin1" | "latin-1"):
            return text.encode("latin-1")
    raise ValueError("the pickle calls something that makes no plain data")


def _plain(value: Any) -> Any:
    """The result with its arrays in place; only a dict or list at the top is looked into, as deep as CIFAR goes."""
    if isinstance(value, dict):
        return {key: _settled(one) for key, one in value.items()}
    return [_settled(one) for one in value] if isinstance(value, list) else _settled(value)


def _settled(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("an array is announced and never given")
        return value.value
    if isinstance(value, _Name | _Type):
        raise ValueError("the pickle holds a name where plain data should be")
    return value
