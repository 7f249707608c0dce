"""The command line: one file per command, whose function `run` has the command's options as parameters.

A command imports what it computes with inside its functions, so that --help stays quick.
"""
