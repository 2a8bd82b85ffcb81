"""Reads over the tables of `pipelines`."""
