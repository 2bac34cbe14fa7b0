"""The report's claims, measured."""
