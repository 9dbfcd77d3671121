"""ocs: an online and offline charging server for mobile networks."""

__version__ = "0.1.0"
