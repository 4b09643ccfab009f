"""The command line: one module a subcommand. Only this package exits."""
