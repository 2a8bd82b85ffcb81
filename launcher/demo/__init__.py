"""The demo: the main job on a small world with known truth, as a client of the product.

`world/` is the world, `report.py` shows what a run found, `__main__.py` runs it. Nothing imports this package, and it
uses the commands and HTTP endpoints that people use. It runs in the project's environment with the `ml` extra.
"""
