"""Dates as pages write them, by language; the names are those that templates use."""
