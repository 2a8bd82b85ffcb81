"""Set-up and supervision, with the standard library alone: what runs before anything is installed.

Here: the project's environment (`environment`), the home folder (`home`), the embedded Postgres and Redis
(`postgres`, `broker`), joining them for the time of a command (`services`), the processes of `make up`
(`supervise`), backups (`backup`), and the commands of `python -m launcher` (`commands`).
Not here: Django, rules of the product, settings. `launcher/demo/` is a client of the product that nothing imports.
Read `services.py` first.
"""
