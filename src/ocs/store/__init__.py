"""Stores: where accounts, sessions, the journal and CDRs become durable."""
