"""Times beside others' in one run: `tinysegnet bench`, and `tinysegnet profile` for where the time goes."""
