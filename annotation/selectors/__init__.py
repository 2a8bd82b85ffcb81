"""Reads of the annotation package, one module a subject. A selector that fetches for a person checks access too."""
