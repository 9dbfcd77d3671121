"""HTTP: health, metrics, and the administration of accounts, sessions, peers and CDRs."""
