"""The runs at hand: which there are, what they are called, and removing what is not wanted."""
