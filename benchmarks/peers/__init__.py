"""The applications of the peers. Each runs in its own virtual environment, and imports nothing of ours."""
