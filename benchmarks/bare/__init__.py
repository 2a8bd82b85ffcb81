"""A Django project with two views and no checks, no validation, no history: the ceiling for ours on the same machine."""
