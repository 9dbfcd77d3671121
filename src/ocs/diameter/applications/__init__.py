"""Diameter applications: pure mappings between messages and charging in domain words, and what plugs them in."""
