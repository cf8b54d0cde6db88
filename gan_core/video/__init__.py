"""Video files: opened safely, read picture by picture, and written."""
