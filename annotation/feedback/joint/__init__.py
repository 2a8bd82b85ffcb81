"""Which of two prompts with their completions is better as a whole (DOVE); the prompts may differ."""
