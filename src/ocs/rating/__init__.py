"""Rating: event -> price. Pure functions over a compiled, immutable tariff."""
