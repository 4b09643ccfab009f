"""Pure functions: rows in, results out. No SQL, no input or output, no clock."""
