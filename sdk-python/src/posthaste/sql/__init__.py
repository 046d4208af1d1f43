"""Enqueue by SQL, in the transaction that the caller has open."""
