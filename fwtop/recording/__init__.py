"""The recording: one SQLite file, and the interface between what records and what shows."""
