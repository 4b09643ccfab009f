"""The host and the run's processes, by psutil."""
