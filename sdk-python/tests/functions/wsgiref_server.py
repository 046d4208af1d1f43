"""Jobs by the standard library alone: `python wsgiref_server.py PORT`."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from handlers import app


class Server(ThreadingMixIn, WSGIServer):
    """One thread for each request."""

    daemon_threads = True


make_server("127.0.0.1", int(sys.argv[1]), app.wsgi, Server).serve_forever()
