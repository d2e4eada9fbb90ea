"""Scripts that run in another virtual environment are not collected here."""

collect_ignore = ["rivals"]
