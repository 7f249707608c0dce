"""Benchmarks against PyTorch (`tinysegnet bench`) and profiles of training steps (`tinysegnet profile`)."""
