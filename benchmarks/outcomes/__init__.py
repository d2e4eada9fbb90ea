"""How often rules about outcomes alarm falsely while the ground truth comes, and how soon they find a real fall."""
