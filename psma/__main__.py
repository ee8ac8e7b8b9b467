"""`python -m psma` is `psma`."""

from psma.cli import main

main()
