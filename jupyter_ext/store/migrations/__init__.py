"""Steps from one schema to the next: each only adds, or takes away what nobody reads any more."""
