"""Benchmarks against other libraries (`tinysegnet bench`) and profiles of training steps (`tinysegnet profile`)."""
