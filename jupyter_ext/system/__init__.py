"""The server's own state and the machine that it runs on."""
