"""How good generated pictures are, in numbers and contact sheets; nothing here runs in the app."""
