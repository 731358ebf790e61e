"""Django's and Celery's settings, all from `project.env`."""

import re
import sqlite3
from datetime import timedelta

from csp.constants import NONE, SELF

from project import logs, openapi
from project.db import config as database
from project.dev_redis import embedded_url
from project.env import BASE_DIR, broker_address, read_env, secret_key
from project.private import make_private

ENV = read_env()
make_private(ENV.var_dir)

# Django's own debug pages show paths, settings and source to all who see an error. Foretell shows its own pages even
# in development; the traceback is in the console.
DEBUG = False
DEVELOPMENT = ENV.debug
PRODUCTION = ENV.production
# Each request reads this. It is a setting of its own, since Django takes 4 µs to look up a pydantic model such as ENV.
BEHIND_PROXY = ENV.behind_proxy
SECRET_KEY = secret_key(ENV)
ALLOWED_HOSTS = ENV.allowed_hosts
CSRF_TRUSTED_ORIGINS = ENV.csrf_trusted_origins
WEBHOOK_ALLOWED_HOSTS = ENV.webhook_allowed_hosts
CORS_ALLOWED_ORIGINS = ENV.cors_allowed_origins  # for the API only: pages accept only forms of this site
FORCE_SCRIPT_NAME = ENV.force_script_name or None
PREFIX = f"{ENV.force_script_name}/"

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "crispy_forms",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "axes",
    "predictions",
]
MIDDLEWARE = [
    # For pages only: requests of the API pass the layers of predictions.api.asgi instead.
    "project.middleware.request_id.RequestIds",
    "project.middleware.language.Languages",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "project.middleware.limits.BodyLimits",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "project.middleware.uploads.AnnouncedUploads",
    "django_htmx.middleware.HtmxMiddleware",
    "project.middleware.errors.Errors",
    "axes.middleware.AxesMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"assets": "predictions.web.assets"},
            "builtins": ["django.templatetags.i18n", "predictions.web.localized"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "foretell"

# --- Data -------------------------------------------------------------------------------------------------------------
DATABASE_SECONDS = database.ANSWER_SECONDS
DATABASES = {"default": database.configured(ENV)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SQLITE_VERSION = sqlite3.sqlite_version_info

REDIS_URL = ENV.redis_url or embedded_url(ENV.var_dir)

# --- Celery: the reasons are in docs/decisions/0003-celery.md ---------------------------------------------------------
HAS_OWN_BROKER = bool(ENV.broker_url)  # Celery's messages are not in the Redis above
CELERY_BROKER_URL = broker_address(ENV.broker_url or REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_ACKS_ON_FAILURE = True
CELERY_TASK_ACKS_ON_TIMEOUT = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# The limit of one predict call: see predictions.worker.time_limit.
PREDICT_SECONDS = ENV.time_limit
# A task may work for a time slice (see predictions.worker.drain) before a predict call hangs.
CELERY_TASK_TIME_LIMIT = ENV.time_limit + 3
# A child process that is killed cannot stop the worker: see project.celery_pool.
CELERY_WORKER_POOL = "project.celery_pool:TaskPool"
CELERY_WORKER_MAX_TASKS_PER_CHILD = 20_000
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# With remote control, a message from any process that reaches the broker could stop or slow down all workers.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# By default, an error reply of Redis, as for a key of a wrong type, ends the worker (celery/kombu issue 1247).
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 1.0
CELERY_TASK_PUBLISH_RETRY = True
# Each retry by Celery would wait again for a frozen Redis. predictions.queue replaces a dropped connection.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 0}
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if HAS_OWN_BROKER
    else {
        "socket_timeout": 1.0,
        "socket_connect_timeout": 1.0,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "visibility_timeout": 120,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "client_name": "foretell",
    }
)
CELERY_DB_REUSE_MAX = 100_000
CELERY_TASK_DEFAULT_QUEUE = "interactive"

# --- Predictions ------------------------------------------------------------------------------------------------------
MODELS_DIR = ENV.models_dir
PUBLIC_PREDICTIONS = ENV.public_predictions
POLL_ATTEMPTS = ENV.poll_attempts
WAIT_MAX = ENV.wait_max
WAITERS_MAX = ENV.waiters_max
PREDICTION_TIME = timedelta(seconds=ENV.prediction_seconds)
BATCH_BYTES = ENV.batch_megabytes * 1024 * 1024
BATCH_ROWS = ENV.batch_rows
BATCH_COLUMNS = ENV.batch_columns
BATCH_CELL_BYTES = ENV.batch_cell_bytes
BATCH_JOBS_PER_CALLER = ENV.batch_jobs_per_caller
BATCH_TIME = timedelta(hours=ENV.batch_hours)
SUBMIT_RATE = ENV.submit_rate
MAX_QUEUED = ENV.max_queued
MAX_QUEUED_PER_CALLER = ENV.max_queued_per_caller
MICRO_BATCH = ENV.micro_batch
# The lease is longer than the hard limit, so no claim is taken from a worker that is still alive.
LEASE = timedelta(seconds=CELERY_TASK_TIME_LIMIT + 2)
MAX_ATTEMPTS = ENV.max_attempts
# By default nothing that was accepted is removed: those who are responsible for the data decide how long it is kept.
RETENTION = timedelta(days=ENV.retention_days) if ENV.retention_days else None
KEEPER_SECONDS = ENV.keeper_seconds
INFERENCE_ENGINE = ENV.inference_engine
METRICS_TOKEN = ENV.metrics_token
LOADER_BYTES = ENV.loader_megabytes * 1024 * 1024

# --- Hooks: functions of the site that the product calls by dotted path, since it never imports the site --------------
PROCESS_STARTED = "project.telemetry.start"  # called with the name of a process that `manage.py` starts
GENERATED_PAGES = {".env.example": "project.env.example"}  # written by `make docs`, besides the product's own pages

# --- Web --------------------------------------------------------------------------------------------------------------
STATIC_URL = f"{PREFIX}static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = ENV.var_dir / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Files to be scored, and their results.
    "batches": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ENV.var_dir / "files", "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if ENV.artefact_storage:
    STORAGES["artefacts"] = ENV.artefact_storage
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
# Source maps are for developers' tools. To compress them would take most of the time of a first start.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp", "zip", "gz", "br", "woff", "woff2", "map")
# Django sets the mode of uploaded files itself, so the umask does not protect them.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# English is the language of the sources, the API, the logs and all stored texts. Pages are in the reader's language.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German")]
LOCALE_PATHS = [BASE_DIR / "predictions" / "locale"]
FORMAT_MODULE_PATH = "predictions.web.formats"
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
# Other sites of the same host may have cookies of the same names.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = PREFIX
MESSAGE_STORAGE = "predictions.web.messages.Messages"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
] + [{"NAME": "predictions.use_cases.passwords.EndTokens"}]
# An address is locked out of an account after wrong passwords, for a time. Other addresses are not.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
# Attempts during a lockout do not make it longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_USERNAME_CALLABLE = "predictions.web.lockout.name_of"
AXES_CLIENT_IP_CALLABLE = "predictions.web.visitors.counted_address_of"
AXES_LOCKOUT_CALLABLE = "predictions.web.lockout.locked_out"
# Successful sign-ins are not stored, and the log names neither people nor addresses.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
# Form fields that are stored in masked form, besides `password`.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "old_password", "new_password1", "new_password2"]
# Forms and JSON rows are small. Files have a limit of their own, BATCH_BYTES.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# Django's limit of 1,000 protects against hostile bodies of many small fields. The form of a wide model needs more: it
# has a field for each feature.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000

# No inline scripts or styles, and none from other hosts: an injected script does not run.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT = ENV.https
# A supervisor sends health checks to the process itself, not to the proxy in front of it.
SECURE_REDIRECT_EXEMPT = [f"^{re.escape(PREFIX[1:])}(healthz|v2/health)/"]
SECURE_HSTS_SECONDS = 31_536_000 if ENV.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = ENV.https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    # The layers of predictions.api.asgi handle authentication, permissions and the format of errors.
    "DEFAULT_AUTHENTICATION_CLASSES": ["predictions.api.threads.CallerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["predictions.api.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "predictions.api.negotiation.OnlyJSON",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "predictions.api.threads.reraise",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

# knox's own table is not used: ApiToken replaces it.
MIGRATION_MODULES = {"knox": None}
KNOX_TOKEN_MODEL = "predictions.ApiToken"
REST_KNOX = {"TOKEN_TTL": timedelta(days=90), "TOKEN_PREFIX": "ft_"}

SPECTACULAR_SETTINGS = openapi.DOCUMENT

LOGGING = logs.config(
    ENV.log_level,
    as_json=PRODUCTION,
    secrets=[SECRET_KEY, METRICS_TOKEN, *logs.passwords(REDIS_URL, ENV.broker_url, ENV.database_url)],
)

# The Celery application is loaded here, because all processes of Django read this module and publish with it. If
# `project/__init__.py` loaded it, processes without Django, such as that of the embedded Redis, would load Celery too.
from project.celery import app as celery_app  # noqa: E402, F401
