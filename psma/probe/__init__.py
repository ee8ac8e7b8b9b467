"""Try an expression on somebody's names, and compare what comes out with what was expected.

Nothing here prints, writes or trusts the code it runs. ``evaluate`` runs an expression on copies of the data
it names, quietly and for a limited time; ``same`` compares; ``describe`` and ``difference`` put the result
into words; ``first_open`` says what is not attempted yet. numpy and pandas are used only where the notebook
has loaded them, so that importing this stays fast.
"""

from psma.probe.comparing import same
from psma.probe.expressions import names_in, parse
from psma.probe.running import Outcome, evaluate, run
from psma.probe.stubs import Open, first_open, unfinished
from psma.probe.words import describe, difference, one_line

__all__ = [
    "Open",
    "Outcome",
    "describe",
    "difference",
    "evaluate",
    "first_open",
    "names_in",
    "one_line",
    "parse",
    "run",
    "same",
    "unfinished",
]
