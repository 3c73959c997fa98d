"""The commands, one file a domain; each returns what is to be shown."""
