"""The catalogues of translated texts: what the sources use, what translators wrote, and what Django reads."""
