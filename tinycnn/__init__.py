"""tinycnn."""
