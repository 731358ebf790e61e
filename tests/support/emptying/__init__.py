"""A Django app that replaces the command with which Django empties the database after each test that commits."""
