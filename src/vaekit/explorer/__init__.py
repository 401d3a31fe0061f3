"""The explorer: moving through the latent space of a run, live or in one file."""
