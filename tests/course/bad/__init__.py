"""Notebooks that break one rule each: a good session in ``base``, and in ``cases`` what is done to it."""
