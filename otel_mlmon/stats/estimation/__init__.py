"""Performance estimates without ground truth, from models of the reference: CBPE, DLE, surrogate model."""
