"""Tests of producers: jobs by SQL and by REST."""
