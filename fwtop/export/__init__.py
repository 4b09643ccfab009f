"""A recording in the formats of other tools: one module a format, all with one interface.

A format's module has `write(source, out)`: `out` is a binary file for a single-file format, a new
folder for the others (see `fwtop.export.formats`). It asks `source` for all that it writes, page by
page, so that memory does not grow with the recording. Where the result goes, and that nothing
broken is left there, is `fwtop.export.place`'s affair.
"""
