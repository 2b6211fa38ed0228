"""Tables as a reader sees them: headers, alignment, rounding."""
