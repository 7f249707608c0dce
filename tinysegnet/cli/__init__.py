"""The command line: one file per command, whose function `run` has the command's options as parameters."""
