"""Errors of the database that concern the database itself, and no row or query of ours."""

from django.db import InterfaceError, OperationalError

DATABASE_AWAY = (OperationalError, InterfaceError)
