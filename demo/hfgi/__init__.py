"""Edit a face (HFGI)."""
