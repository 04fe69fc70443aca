"""Label-free detection on real questions: the model that answers them, the streams, and what changes in them."""
