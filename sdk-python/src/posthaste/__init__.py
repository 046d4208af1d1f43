"""Jobs from Postgres to functions: write handlers, enqueue in your own transaction, call back."""
