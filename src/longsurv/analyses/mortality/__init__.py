"""Mortality by treatment: every method and prior side by side."""
