"""What holds for every test: property tests draw the same examples on every machine, and take no note of time."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres.fixtures"]


settings.register_profile(
    "ocs",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
settings.load_profile("ocs")
