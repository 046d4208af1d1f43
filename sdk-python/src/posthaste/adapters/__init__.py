"""Adapters: one for each way that a request comes in. None imports more than the standard library."""

from .asgi import Asgi, asgi
from .aws_lambda import LambdaHandler, aws_lambda
from .cloud_function import FlaskView, cloud_function
from .wsgi import Wsgi, wsgi

__all__ = ["Asgi", "FlaskView", "LambdaHandler", "Wsgi", "asgi", "aws_lambda", "cloud_function", "wsgi"]
