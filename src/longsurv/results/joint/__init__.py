"""Answers of joint models."""
