"""The command line, with one file per command, and one for those of `tinysegnet data`. The parameters of a command's
function `run` are its options.

Commands import the other parts of tinysegnet inside their functions, so that --help stays fast.
"""
