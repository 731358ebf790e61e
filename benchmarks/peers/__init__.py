"""Applications for the peer servers. Each runs in its own virtual environment, without this repository."""
