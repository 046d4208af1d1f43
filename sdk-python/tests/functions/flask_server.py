"""Jobs beside pages of one's own, in Flask."""

from flask import Flask
from handlers import app
from werkzeug.middleware.dispatcher import DispatcherMiddleware

server = Flask(__name__)
server.wsgi_app = DispatcherMiddleware(server.wsgi_app, {"/jobs": app.wsgi})
