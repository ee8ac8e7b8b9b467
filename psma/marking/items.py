"""Statistics of a marked paper: how hard each question was, whether it tells candidates apart, how reliable
the whole is.

Sources: Cronbach (1951), Psychometrika 16:297, for alpha; Feldt (1965), Psychometrika 30:357, for its
interval; Crocker and Algina (1986), Introduction to Classical and Modern Test Theory, chapter 14, for
facility and discrimination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 5
"""Candidates below which nothing is said of a question: a correlation of four points is noise."""


@dataclass(frozen=True)
class Alpha:
    """Cronbach's alpha of ``items`` questions and ``people``, with the ends of its 95% interval."""

    value: float
    low: float
    high: float
    people: int
    items: int


def facility(marks: Sequence[float], most: float) -> float:
    """The mean mark as a share of the most marks, 0 (nobody got any) to 1. ``nan`` without marks."""
    return float(np.mean(marks)) / most if len(marks) and most else float("nan")


def discrimination(marks: Sequence[float], rest: Sequence[float]) -> float:
    """Pearson's correlation of a question's marks with the rest of each candidate's total.

    The question itself is left out of the total ("corrected"), or it would correlate with itself. ``nan``
    where either doesn't vary, or for fewer than ``FEWEST`` candidates.
    """
    if len(marks) < FEWEST or np.ptp(marks) == 0 or np.ptp(rest) == 0:
        return float("nan")
    return float(np.corrcoef(marks, rest)[0, 1])


def alpha(marks: Sequence[Sequence[float]], level: float = 0.95) -> Alpha | None:
    """Cronbach's alpha of a table of marks, a row a candidate and a column a question.

    With k items, alpha = k / (k - 1) * (1 - sum of the items' variances / variance of the totals). The
    interval is Feldt's: (1 - alpha) / (1 - estimate) follows F with n - 1 and (n - 1)(k - 1) degrees of
    freedom, for normal, equally correlated items. None: fewer than ``FEWEST`` rows or two columns, or totals
    that don't vary.
    """
    from scipy.special import fdtri  # the same as stats.f.ppf, without the second that importing stats takes

    table = np.asarray(marks, dtype=float)
    if table.ndim != 2 or table.shape[0] < FEWEST or table.shape[1] < 2:
        return None
    people, items = table.shape
    spread = table.sum(axis=1).var(ddof=1)
    if spread == 0:
        return None
    value = items / (items - 1) * (1 - table.var(axis=0, ddof=1).sum() / spread)
    tails = fdtri(people - 1, (people - 1) * (items - 1), [(1 + level) / 2, (1 - level) / 2])
    low, high = 1 - (1 - value) * tails
    return Alpha(float(value), float(low), float(high), people, items)
