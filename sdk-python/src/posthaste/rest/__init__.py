"""Everything over HTTP: enqueue, read, wait, cancel, and look after endpoints."""
