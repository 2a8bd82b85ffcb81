"""Thumbs for one completion, or yes and no to named principles."""
