"""Answers of linear mixed models."""
