"""How a database comes to the schema of this version, step by step (Alembic)."""
