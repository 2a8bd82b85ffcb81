"""Segments of two sounds or films on one time line, and which completion is better in each."""
