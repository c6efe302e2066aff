"""Twilio's REST API as data and pure functions: fields, parameters, paging, rendering, errors, signatures.

Nothing here reads a socket, a clock or a random number: the HTTP face is :mod:`ringback.shell.api`.
"""
