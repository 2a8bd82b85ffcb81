"""What people see and answer: projects, texts, comparisons, assignments, annotations, feedback types.

Not here: scores, aggregation, versions, training (`pipelines`), HTML (`webapp`). This is the lowest package: it imports
none of the others. Read first: `models/comparisons.py`, then `services/assignment.py`.
"""
