"""The reference design as its guide would have it; run from this folder, as a project of its own."""
