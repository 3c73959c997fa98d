"""The HTTP and WebSocket edge. It knows dialects and routes, and no domain."""
