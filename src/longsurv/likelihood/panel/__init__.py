"""Many markers with a hierarchy over one contrast of each."""
