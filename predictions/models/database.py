"""Errors of the database itself, which no row or query of ours has caused."""

from django.db import InterfaceError, OperationalError

DATABASE_AWAY = (OperationalError, InterfaceError)
