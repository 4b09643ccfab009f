"""Small real training scripts that ship with the package."""
