"""Training: the loop and what it consists of; objectives and experiments import parts of it, so nothing is here."""
