"""Who may do what: accounts, roles, passwords and API keys."""
