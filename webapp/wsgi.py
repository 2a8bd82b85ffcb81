import importlib
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
application = get_wsgi_application()
# Every view now, before the workers are forked, rather than at each worker's first request.
importlib.import_module("webapp.urls")
