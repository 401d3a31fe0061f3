"""Published reports as tables of experiments, each with what is measured, the printed numbers and a verdict."""
