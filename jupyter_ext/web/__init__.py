"""Pages that containers serve, each at an origin of its own."""
