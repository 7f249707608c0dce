"""The command line, with one file per command. The parameters of its function `run` are the command's options.

Commands import the other parts of tinysegnet inside their functions, so that --help stays fast.
"""
