"""The least that Django needs, on the same database and driver as Winnow's."""

import os

from psycopg.conninfo import conninfo_to_dict

address = conninfo_to_dict(os.environ["DATABASE_URL"])
SECRET_KEY = "only for measuring, on loopback, on made-up data"  # Nothing is protected by it.
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.bare.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS: list[str] = []
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address["dbname"],
        "USER": address["user"],
        "PASSWORD": address["password"],
        "HOST": address["host"],
        "PORT": address["port"],
        "CONN_MAX_AGE": 600,
    }
}
USE_TZ = True
