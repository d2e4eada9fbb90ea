"""The processor as a service: composition, configuration, schedule and HTTP routes."""
