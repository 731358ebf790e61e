"""The reference design, written as the guides of its libraries describe. A separate project, run from this folder."""
