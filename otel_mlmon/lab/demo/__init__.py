"""The demo: a small real-estate firm, its price service, and six silent failures."""
