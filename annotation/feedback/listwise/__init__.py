"""The order of 3 to 9 completions with ties, or of many only the best and the worst."""
