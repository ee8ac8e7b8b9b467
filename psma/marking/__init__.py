"""Marking a paper: reading what was sent, running it safely, testing it, keeping the results.

Start with ``model`` (what a result is), then ``source`` (what a paper is), ``tester`` (how a test is decided)
and ``warden`` (how a trainee's code is held).
"""
