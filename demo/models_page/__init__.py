"""The Models page: which published models are here, fetching others, and installing files that somebody has."""
