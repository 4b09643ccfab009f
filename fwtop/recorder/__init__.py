"""The recorder: takes what the probes, the shim and the devices tell, and writes the recording."""
