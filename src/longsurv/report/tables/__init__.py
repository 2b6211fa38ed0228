"""Every table of the report: a function that returns a DataFrame."""
