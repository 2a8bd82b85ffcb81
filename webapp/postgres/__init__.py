"""Django's Postgres backend, with a health check that asks nothing."""
