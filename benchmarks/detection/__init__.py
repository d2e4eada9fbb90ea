"""How many silent failures are found, and how often the alarm is false: see README.md in this directory."""
