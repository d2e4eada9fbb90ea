"""What normal is: made from training or validation data, frozen, kept beside the model."""
