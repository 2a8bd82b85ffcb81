"""Processes that do the work items: a Celery worker a queue, or a poller where there is no broker; and the clock.

Not here: rules, formulas, model code (`pipelines`). Read first: `loop.py`, then `handlers.py`, the table of kinds.
"""
