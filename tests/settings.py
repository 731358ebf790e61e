"""The product's settings for the test process, which has its own folder, database and Redis.

`.env` is not read. Of the shell's variables only DATABASE_URL counts: it chooses the database that the suite runs on.
"""

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
    # No server listens there until the fixture `redis_server` starts one: without the fixture, Redis is away.
    "REDIS_URL": f"unix://{TESTS_DIR}/redis.sock",
    # Threads of OpenMP and BLAS wait for each other in a busy loop. If other processes use the cores, as in a run of
    # several parts, a fit takes ten times the processor time.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

from project.settings import *  # noqa: E402, F403 - the environment first
from project.settings import DATABASES, INSTALLED_APPS, STORAGES  # noqa: E402

# Child processes run the product's own settings, with the environment from above.
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"

# A file, so that threads use the same locks as in production. A database in shared memory has other locks.
if DATABASES["default"]["ENGINE"] == "project.db.sqlite":
    DATABASES["default"]["TEST"] = {"NAME": str(TESTS_DIR / "test.sqlite3")}
else:  # most tests are one transaction; on a busy machine it may be idle for longer than that of a request may be
    DATABASES["default"]["OPTIONS"]["options"] += " -c idle_in_transaction_session_timeout=0"
# Static files are not collected for the tests: pages link to them by their plain names.
(TESTS_DIR / "var/staticfiles").mkdir()
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
# Otherwise each test client would first search all apps for static files.
WHITENOISE_AUTOREFRESH = True
# Its `flush` is quicker than Django's.
INSTALLED_APPS = ["tests.support.emptying", *INSTALLED_APPS]
# Tests sign in hundreds of times, so the password hash must be fast.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Knox's own table, which ApiToken replaces, would be left out of the flush between tests although it refers to users.
MIGRATION_MODULES = {"knox": None}
