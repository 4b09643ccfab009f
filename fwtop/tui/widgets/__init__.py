"""The viewer's reusable widgets."""
