"""The weights this project ships, and the catalogue of everything that can be loaded."""
