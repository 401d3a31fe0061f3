"""Evaluation: what a trained model is worth, each number with its error."""
