"""What the README says is true: its program runs, its commands and links are there, its figures are measured."""

import re
from pathlib import Path

import numpy as np

from tinycnn import data

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_program_runs_and_reaches_what_a_reader_expects(tmp_path, monkeypatch, capsys):
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(program, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert names["accuracy"] > 0.95
    assert "Conv2D 'conv1': output [0, 3, 4]" in printed
    assert "WRONG" not in printed
    assert (tmp_path / "runs" / "digits.safetensors").is_file()


def test_every_link_of_the_readme_points_to_a_file():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_readme_counts_the_digits_as_they_are():
    train, _, test = data.load_digits()
    assert f"{len(train):,} real handwritten digits" in README
    assert f"{len(test)} digits it has not seen" in README
    assert np.isin(test.y, range(10)).all()


def test_the_two_commands_stand_where_ci_finds_them():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    last = [command.rsplit("&& ", 1)[1] for command in commands]
    assert last == [".venv/bin/tinycnn demo", ".venv/bin/python -m pytest"]
