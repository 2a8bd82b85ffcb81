"""From annotations and predictions to training data and back: imports, judges, scores, labels, routing, versions, training.

Not here: HTML (`webapp`), Celery (`workers`). `engine/`, `judges/` and `training/` hold torch and no Django; the other
folders hold no torch. Read first: `queue.py` (how work is handed out), then `services/`.
"""
