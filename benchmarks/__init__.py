"""What the claims about speed are measured with; `python -m benchmarks` runs them."""
