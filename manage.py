#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    # Threads of OpenMP that wait for each other give their core away. By default they wait in a loop: where another
    # process has a core, `train` would take much longer.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    execute_from_command_line(sys.argv)
