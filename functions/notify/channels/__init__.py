"""The channels: each renders a notice within its limits, and sends it."""
