"""What a frozen version is made of: filters, splits, canonical rows, the manifest. Pure.

Not here: tables and snapshots (`pipelines/services/versions.py`). Read `rows.py` first. To add a filter, add a line to
`FILTERS` in `filters.py`.
"""
