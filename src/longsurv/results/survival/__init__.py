"""Answers of Cox and parametric hazard models."""
