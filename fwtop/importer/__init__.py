"""Makes a recording of traces that other tools wrote: the same tables, so that every view works."""
