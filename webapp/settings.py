"""Settings, read from the environment with helpers that refuse odd input. Names and meanings: docs/settings.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).resolve().parent.parent


def _bool(name: str, default: bool) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text in {"", "0", "1", "true", "false", "yes", "no"}:
        return default if text == "" else text in {"1", "true", "yes"}
    raise ImproperlyConfigured(f"{name} must be 1 or 0; got {text!r}.")


def _int(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if text == "":
        return default
    if not text.isdecimal():
        raise ImproperlyConfigured(f"{name} must be a whole number; got {text!r}.")
    return int(text)


def _secret(file_name: str, variable: str) -> str:
    """A secret from the environment, else from the home's secrets folder."""
    value = os.environ.get(variable, "")
    if value:
        return value
    path = WINNOW_HOME / "secrets" / file_name
    if not path.is_file():
        raise ImproperlyConfigured(
            f"No {variable} and no {path}. Start with ./manage.py or `make up`, which write one, or set {variable}."
        )
    return path.read_text().strip()


DATABASE_PARTS = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}


def _database(url: str) -> dict[str, object]:
    """Django's settings of a database from its address; what else libpq knows (sslmode, ...) may follow a `?`."""
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(f"DATABASE_URL must start with postgresql://; got {url.partition(':')[0]}://.")
    try:
        given = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"DATABASE_URL is not an address that Postgres understands: {error}") from None
    named = {key: str(given.pop(name, "")) for key, name in DATABASE_PARTS.items()}
    options: dict[str, object] = {
        **given,
        "pool": {"min_size": 1, "max_size": _int("WINNOW_DATABASE_POOL", 8), "timeout": 10},
        "server_side_binding": True,
        "prepare_threshold": 1,
        "options": (
            f"{given.pop('options', '')} -c statement_timeout={_int('WINNOW_STATEMENT_TIMEOUT_MS', 0)}"
            f" -c lock_timeout={_int('WINNOW_LOCK_TIMEOUT_MS', 0)}"
            f" -c idle_in_transaction_session_timeout={_int('WINNOW_IDLE_TRANSACTION_TIMEOUT_MS', 0)}"
        ),
    }
    if not _bool("WINNOW_USE_POOL", False):
        del options["pool"]
    return {
        "ENGINE": "webapp.postgres",
        **named,
        "CONN_MAX_AGE": 0 if "pool" in options else _int("WINNOW_CONNECTION_AGE_SECONDS", 600),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


# --- home and debug ---------------------------------------------------------------------------------------------------
WINNOW_HOME = Path(os.environ.get("WINNOW_HOME") or BASE_DIR / "var").resolve()
DEBUG = _bool("WINNOW_DEBUG", False)
SECRET_KEY = _secret("secret_key", "WINNOW_SECRET_KEY")
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("The secret key must have at least 50 characters.")

# --- address and transport --------------------------------------------------------------------------------------------
PUBLIC_URL = os.environ.get("WINNOW_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
_public = urlsplit(PUBLIC_URL)
_loopback = {"127.0.0.1", "localhost", "::1"}
if _public.scheme not in {"http", "https"} or not _public.hostname:
    raise ImproperlyConfigured(f"WINNOW_PUBLIC_URL must be an http or https address; got {PUBLIC_URL!r}.")
HTTPS = _public.scheme == "https"
if not HTTPS and _public.hostname not in _loopback and not _bool("WINNOW_ALLOW_PLAIN_HTTP", False):
    raise ImproperlyConfigured(
        f"{PUBLIC_URL} is plain HTTP away from this machine: passwords would be readable on the way. "
        "Use https, or set WINNOW_ALLOW_PLAIN_HTTP=1 to accept that."
    )
ALLOWED_HOSTS = [_public.hostname] + (["127.0.0.1", "localhost"] if _public.hostname in _loopback else [])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_SSL_REDIRECT = HTTPS
BEHIND_PROXY = _bool("WINNOW_BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS and BEHIND_PROXY else None
# Else all people share the proxy's address, and so the limit of failed sign-ins.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if BEHIND_PROXY else 0
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "webapp.views.errors.csrf_failure"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "winnow_session", "winnow_csrf"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- applications -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "allauth",
    "allauth.account",
    "annotation.apps.AnnotationConfig",
    "pipelines.apps.PipelinesConfig",
    "webapp.apps.WebappConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "webapp.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "webapp.middleware.AccessTable",
    "webapp.language.InterfaceLanguage",
    "webapp.middleware.ErrorPages",
]
ROOT_URLCONF = "webapp.urls"
WSGI_APPLICATION = "webapp.wsgi.application"
MIGRATION_MODULES = {"annotation": "migrations.annotation", "pipelines": "migrations.pipelines"}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "webapp" / "templates", BASE_DIR / "annotation" / "feedback"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webapp.context.shell",
            ],
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- database and broker ----------------------------------------------------------------------------------------------
DATABASES = {"default": _database(os.environ.get("DATABASE_URL", "postgresql://winnow@127.0.0.1/winnow"))}
BROKER_URL = os.environ.get("BROKER_URL", "none")

# --- sign-in ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "annotation.User"
AUTHENTICATION_BACKENDS = ["webapp.sign_in.Backend"]
SESSION_ENGINE = "webapp.sessions"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "webapp.sign_in.ClosedAdapter"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "webapp_cache"}}
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "sign_in"
SIGN_IN_LINK_HOURS = _int("WINNOW_SIGN_IN_LINK_HOURS", 72)

# --- limits -----------------------------------------------------------------------------------------------------------
LIMIT_LINE_BYTES = _int("WINNOW_LIMIT_LINE_BYTES", 10_000_000)
LIMIT_COMPLETION_BYTES = _int("WINNOW_LIMIT_COMPLETION_BYTES", 2_000_000)
LIMIT_UNPACKED_BYTES = _int("WINNOW_LIMIT_UNPACKED_BYTES", 20_000_000_000)
LIMIT_UNPACKED_RATIO = _int("WINNOW_LIMIT_UNPACKED_RATIO", 200)
LIMIT_FAULTY_ROWS_PERCENT = _int("WINNOW_LIMIT_FAULTY_ROWS_PERCENT", 5)
LIMIT_MEDIA_BYTES = _int("WINNOW_LIMIT_MEDIA_BYTES", 50_000_000)
LIMIT_UPLOAD_BYTES = _int("WINNOW_LIMIT_UPLOAD_BYTES", 2_000_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
# A form that labels steps posts a field for each, of up to nine completions. The bytes of a body stay the bound of memory.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

# --- queues -----------------------------------------------------------------------------------------------------------
WORK_LEASE_SECONDS = _int("WINNOW_WORK_LEASE_SECONDS", 60)
WORK_POLL_SECONDS = 2
SWEEP_SECONDS = 5
UNDO_SECONDS = 300

# --- files, language, time --------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "webapp" / "static"]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
MODELS_DIR, EXPORTS_DIR, RUNS_DIR, UPLOADS_DIR, MEDIA_DIR = (
    WINNOW_HOME / name for name in ("models", "exports", "runs", "uploads", "media")
)
FILE_UPLOAD_TEMP_DIR = None
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ar", "العربية")]
LOCALE_PATHS = [BASE_DIR / "webapp" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- logs: ids and lengths, never texts -------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "filters": {"one_line": {"()": "webapp.away.OneLine"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line", "filters": ["one_line"],
        }
    },
    "root": {"handlers": ["stderr"], "level": os.environ.get("WINNOW_LOG_LEVEL", "INFO")},
}
