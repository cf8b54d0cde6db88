"""Widgets that the tabs share."""
