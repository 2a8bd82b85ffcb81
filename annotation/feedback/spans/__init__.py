"""Marked passages of a completion, each with category, severity and comment."""
