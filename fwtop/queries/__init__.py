"""SQL to rows, a module a subject. Nothing is computed here that a view could want otherwise."""
