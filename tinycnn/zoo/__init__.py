"""The networks of the lessons."""
