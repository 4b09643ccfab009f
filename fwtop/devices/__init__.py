"""Samplers of GPUs and of the host."""
