"""Figures, tables, sentences and the page that holds them."""
