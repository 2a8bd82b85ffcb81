"""The web edge: settings, URLs, views, API, templates, static files, management commands.

Not here: queries and rules (`selectors`, `services`), formulas (pure modules), torch in any form. Read first: `urls.py`
and `access.py`, which says for every URL who may.
"""
