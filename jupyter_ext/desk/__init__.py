"""One desk: which server process owns engines and store, and how the others reach it."""
