"""Change detection on error streams: the streams, headrace's hard trigger, and what it is compared with."""
