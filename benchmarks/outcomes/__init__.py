"""False alarms of performance rules while ground truth arrives, and the delay until they find a real loss."""
