"""Answers of generalised mixed models."""
