"""Which of two completions is better, and how clearly."""
