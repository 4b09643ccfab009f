"""Finders by subject: each takes `Facts` and yields the findings that its figures bear out."""
