"""One name over a user's databases, notebook files and containers."""
