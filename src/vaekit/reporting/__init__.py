"""Reporting: what is measured, drawn and written of runs and data; runs know their evaluations, so nothing is here."""
