"""Many trainings: what the units of a sweep are, and who works on them."""
