"""Everything the five papers need, usable without the browser interface."""
