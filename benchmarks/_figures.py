"""Percentiles, and the tables in which a benchmark says what it measured and what was to be reached."""

import os
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample below which a share of all samples lies."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


def load() -> str:
    """What else the machine does, as its load averages."""
    averages = " ".join(f"{each:.1f}" for each in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return f"{os.cpu_count()} processors, load average {averages}"


@dataclass(frozen=True)
class Figure:
    """One measured value beside its target."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the target is met; a figure without one always is."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target

    def cells(self) -> list[str]:
        """The figure as a row."""
        if self.target is None:
            return [self.name, number(self.value, self.unit), "", "", self.note]
        limit = f"{'≥' if self.at_least else '≤'} {number(self.target, self.unit)}"
        return [self.name, number(self.value, self.unit), limit, "reached" if self.reached else "MISSED", self.note]


def number(value: float, unit: str) -> str:
    """A value with as many digits as mean something."""
    digits = 4 if unit == "nDCG" else 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return f"{text}{unit}" if unit == "×" else text if unit == "nDCG" else f"{text} {unit}".strip()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads in a terminal and in Markdown alike."""
    widths = [max(len(row[place]) for row in (headings, *rows)) for place in range(len(headings))]
    lines = [headings, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def report(title: str, figures: Sequence[Figure]) -> str:
    """All figures as one table under a title."""
    rows = [figure.cells() for figure in figures]
    return f"{title} ({load()})\n{table(['what', 'measured', 'target', '', 'note'], rows)}"
