"""What to run, and the shim that holds it."""
