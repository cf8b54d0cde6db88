"""How good generated pictures are, in numbers."""
