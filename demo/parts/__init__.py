"""Widgets and helpers that several tabs use."""
