"""Copies of a run's numbers for trackers, on request; metrics.jsonl and results.json stay the truth."""
