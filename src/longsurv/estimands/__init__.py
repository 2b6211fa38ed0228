"""Quantities to estimate: changes, risks, survival differences, and what could bias them."""
