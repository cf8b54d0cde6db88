"""How fast things are: a file a subject, and one timer for all. The app imports nothing of it."""
