"""Jobs beside an API of one's own, in FastAPI."""

from fastapi import FastAPI
from handlers import app

server = FastAPI()
server.mount("/jobs", app.asgi)
