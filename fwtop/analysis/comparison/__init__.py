"""What differs between runs, and whether it is more than noise. Pure: from readings to verdicts."""
