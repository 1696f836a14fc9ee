"""Progress: nothing when told to be silent, a plain line an epoch elsewhere, a bar on a terminal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time

import numpy as np
import pytest
from networks import compiled, digits

from tinycnn.train.progress import Progress

X, Y = digits(32)
LINE = re.compile(r"Epoch (\d)/2  \d+\.\d s  loss \d\.\d{4}, accuracy [01]\.\d{4}, val_loss \d\.\d{4}, "
                  r"val_accuracy [01]\.\d{4}")  # fmt: skip


def fit(verbose: int) -> None:
    """Two epochs with validation."""
    compiled().fit(X, Y, epochs=2, batch_size=8, validation_data=(X[:4], Y[:4]), verbose=verbose)


def test_told_to_be_silent_it_is(capfd):
    fit(0)
    compiled().evaluate(X, Y, verbose=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [1, 2])
def test_where_there_is_no_terminal_an_epoch_is_one_plain_line(capsys, verbose):
    fit(verbose)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [LINE.fullmatch(line).group(1) for line in lines] == ["1", "2"]
    assert "\r" not in out
    assert "\x1b" not in out
    assert err == ""


def test_evaluate_prints_its_numbers_when_asked(capsys):
    result = compiled().evaluate(X, Y, verbose=2)
    assert capsys.readouterr().out == f"loss {result.loss:.4f}, accuracy {result['accuracy']:.4f}\n"


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from networks import compiled, digits
x, y = digits(32)
assert sys.stdout.isatty()
compiled().fit(x, y, epochs=2, batch_size=8, verbose={verbose})
print("done")
"""


def on_a_terminal(verbose: int) -> str:
    """What a program that trains writes to a pseudo-terminal of 100 columns, in at most a minute."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    program = PROGRAM.format(tests=os.path.dirname(__file__), verbose=verbose)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=slave, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    written, end = b"", time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            written += piece
        child.wait(timeout=10)
    finally:
        child.kill()
        child.wait()
        os.close(master)
    assert child.returncode == 0, written.decode()
    return written.decode()


def test_on_a_terminal_there_is_a_bar_with_batches_and_numbers():
    text = on_a_terminal(1)
    for epoch in ("Epoch 1/2 0/4 |", "Epoch 2/2 0/4 |"):
        assert epoch in text
    lines = text.replace("\r\n", "\n").strip().split("\n")
    shown = [line.rsplit("\r", 1)[-1] for line in lines]  # what stays on the screen
    assert [line[:9] for line in shown] == ["Epoch 1/2", "Epoch 2/2", "done"]
    assert re.search(r"loss \d\.\d{4}, accuracy [01]\.\d{4}$", shown[1])
    assert re.search(r"\d examples/s, loss \d\.\d{4}, accuracy", text)


def test_on_a_terminal_plain_lines_stay_plain_when_asked_for():
    text = on_a_terminal(2)
    assert [line[:9] for line in text.splitlines()] == ["Epoch 1/2", "Epoch 2/2", "done"]
    assert "|" not in text


def test_a_bar_is_closed_when_training_stops_early(monkeypatch):
    closed = []
    monkeypatch.setattr(Progress, "close", lambda self: closed.append(True))
    bad = X.copy()
    bad[0] = np.nan
    with pytest.raises(FloatingPointError):
        compiled().fit(bad, Y, verbose=0)
    assert closed == [True]
