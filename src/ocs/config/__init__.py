"""Configuration: YAML -> typed, frozen settings -> checks -> compiled tariff."""
