"""Training of the face finder and the head finder."""
