"""Faults of a whole machine: they need root, for file systems and network namespaces of their own."""
