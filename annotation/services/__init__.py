"""Writes of the annotation package, one module a subject. A service is one business step in one transaction."""
