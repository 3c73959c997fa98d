"""Containers and images, and the driver of the engine that runs them."""
