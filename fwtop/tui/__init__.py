"""The viewer: reads the recording and nothing else."""
