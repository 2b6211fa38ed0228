"""Every table of a study: a function that returns a DataFrame."""
