"""The tool behind the course: opens, runs, checks and publishes its notebooks."""

__version__ = "0.1.0"
