"""What the tests that play pages share: a network, a page with all that it asked for and said, and the looks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import tinycnn as tc

LOOKS = [{}, {"color_scheme": "dark"}, {"forced_colors": "active"}, {"reduced_motion": "reduce"}]


def network(classes: tuple[str, ...] | None = None) -> Any:
    model = tc.Sequential(
        [tc.Conv2D(3, 3, padding="same", name="conv1"), tc.ReLU(), tc.MaxPool2D(2), tc.Flatten(), tc.Dense(10)],
        input_shape=(1, 8, 8), seed=0,
    )  # fmt: skip
    model.compile(tc.optim.Adam(1e-2), "cross_entropy")
    if classes:
        model.classes = classes
    return model


@dataclass
class Watched:
    """A browser's page, and all that it asked for or said."""

    page: Any
    said: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def key(self, *names: str) -> None:
        self.page.focus("#player")
        for name in names:
            self.page.keyboard.press(name)

    @property
    def place(self) -> tuple[int, list[int]]:
        return tuple(self.page.evaluate("[tinycnn.number, tinycnn.index]"))

    def follows(self, address: str) -> None:
        """Waits until the page has written this address; a slow machine may take its time."""
        self.page.wait_for_function("(hash) => location.hash === hash", arg=address)

    def asked(self, address: str) -> None:
        """Changes the address as a reader would, and waits until the page has followed it."""
        self.page.evaluate("""(hash) => new Promise((done) => { location.hash = hash;
            addEventListener("hashchange", done, { once: true }); })""", address)  # fmt: skip

    def moves(self, place: tuple[int, list[int]]) -> None:
        """Waits until the page has left a place."""
        self.page.wait_for_function("(place) => JSON.stringify([tinycnn.number, tinycnn.index]) !== place",
                                    arg=json.dumps(place, separators=(",", ":")))  # fmt: skip

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()


def step_of(trace, op: str, result: str) -> int:
    return next(step.number for step in trace.steps if step.op == op and step.result == result)
