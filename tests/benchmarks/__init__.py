"""Measurements. `python -m tests.benchmarks [NAME…]` (`make bench`) runs them.

Results go to results/*.json, with a table of them in the README.

Each figure is a ratio or a difference of two things that are timed in the same run and by turns,
given as the median with the smallest and the largest, because the machine is never quiet.
"""
