"""Features as of a moment in the past: the point-in-time join, what it is asked, what it gives."""
