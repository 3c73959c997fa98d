"""Devices: hosts with an engine, their GPUs, and the ledger of who holds what of them."""
