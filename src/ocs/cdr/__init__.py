"""Charging data records: what a session, a rating group and a partial cost."""
