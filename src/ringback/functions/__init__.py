"""Twilio's Functions, Assets and TwiML Bins from a project directory."""

from ringback.functions.answer import FunctionAnswer, LogLine
from ringback.functions.errors import FunctionsError, NodeMissing, TemplateError
from ringback.functions.pool import Credentials, FunctionPool
from ringback.functions.project import Project

__all__ = [
    "Credentials",
    "FunctionAnswer",
    "FunctionPool",
    "FunctionsError",
    "LogLine",
    "NodeMissing",
    "Project",
    "TemplateError",
]
