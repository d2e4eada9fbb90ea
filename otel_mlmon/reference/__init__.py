"""References: the normal state of a model's data, measured on training or validation data and kept with the model."""
