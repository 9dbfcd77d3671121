"""The PostgreSQL server of `ocs.bench`, as tests use it."""

from ocs.bench.postgres_server import PostgresServer
from ocs.bench.processes import alive as _alive

__all__ = ["PostgresServer", "_alive"]
