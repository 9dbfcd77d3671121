"""Balances: account -> account'. Pure functions over an immutable account state."""
