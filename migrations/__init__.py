"""Migrations of every Django app, one sub-package an app; named for the change they make."""
