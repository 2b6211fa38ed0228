"""Designs of tables that are read in pieces, for those larger than memory."""
