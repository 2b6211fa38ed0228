"""Many markers at once, and change from baseline by several adjustments."""
