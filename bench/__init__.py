"""Benchmarks: figures of one run to be compared with each other, never with a limit."""
