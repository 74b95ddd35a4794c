"""Where events come from, and counting them: the only layer that touches events."""
