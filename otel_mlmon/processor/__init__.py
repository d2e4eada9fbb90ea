"""What `service.py` wires together beside the stages: time, counters, reloading, and what the outside may ask."""
