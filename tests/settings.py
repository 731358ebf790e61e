"""The product's settings for the test process: a folder, a database and a Redis of its own, no `.env`, no leftovers of
the shell. Only DATABASE_URL is taken over: it chooses the database that the suite runs on."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from project import env

TESTS_DIR = Path(tempfile.mkdtemp(prefix="foretell-tests-"))
atexit.register(shutil.rmtree, TESTS_DIR, ignore_errors=True)

env.FILE = Path(os.devnull)
for name in env.Env.model_fields.keys() - {"database_url"}:
    os.environ.pop(name.upper(), None)
os.environ |= {
    "VAR_DIR": str(TESTS_DIR / "var"),
    "MODELS_DIR": str(TESTS_DIR / "models"),
    # Nobody answers there until the fixture `redis_server` starts one: without it, Redis is away.
    "REDIS_URL": f"unix://{TESTS_DIR}/redis.sock",
    # Threads of OpenMP and BLAS wait for each other in a loop. Where other processes have the cores, as in a run of
    # several parts, a fit costs ten times the processor time.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

from project.settings import *  # noqa: E402, F403 - the environment first
from project.settings import DATABASES, INSTALLED_APPS, STORAGES  # noqa: E402

# Child processes run the product's own settings, with the environment from above.
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"

# A file: threads then meet at the locks that the product has, not at those of a shared memory.
if DATABASES["default"]["ENGINE"] == "project.db.sqlite":
    DATABASES["default"]["TEST"] = {"NAME": str(TESTS_DIR / "test.sqlite3")}
else:  # most tests are one transaction, and a busy machine may leave it alone for longer than a request should
    DATABASES["default"]["OPTIONS"]["options"] += " -c idle_in_transaction_session_timeout=0"
# Pages name files of static/ without having collected them.
(TESTS_DIR / "var/staticfiles").mkdir()
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
# Each client of a test would look for all files of all apps.
WHITENOISE_AUTOREFRESH = True
# Its `flush` is quicker than Django's.
INSTALLED_APPS = ["tests.support.emptying", *INSTALLED_APPS]
# Sign-ins by the hundred: a slow hash protects nobody here.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Knox's own table, which ApiToken replaces, would be left out of the flush between tests although it refers to users.
MIGRATION_MODULES = {"knox": None}
