"""The benchmark: a load client, a server under test, and what the machine gives without it. See docs/performance.md."""
