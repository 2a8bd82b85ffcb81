"""A number for a completion on one or several aspects: a scale of words, or a slider whose number is hidden."""
