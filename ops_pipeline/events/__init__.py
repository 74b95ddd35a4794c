"""Where events come from, and counting them: the only room that touches events."""
