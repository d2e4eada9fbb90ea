"""A small real-estate firm, its price service, and six ways to break it without anyone noticing."""
