"""What a text says: a file's encoding and separator, a cell's number, date or limit.

`cohort` and `draft` both read through here, so that what a draft understands a study reads alike.
"""
