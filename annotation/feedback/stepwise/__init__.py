"""A completion cut in steps: a label for each, or the first bad one; and siblings under a shared path."""
