"""Evaluation: how good a trained model is, each number with its error."""
