"""Date formats of the pages, by language. Templates use their names."""
