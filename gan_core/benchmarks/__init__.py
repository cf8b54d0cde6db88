"""Benchmarks of time: a file for each subject, with one timer. The app does not import them."""
