"""What can go wrong with Functions and bins.

FunctionsError
  NodeMissing        no usable Node: says what to install           (the installation's fault)
  TemplateError      a bin cannot be rendered: code, line           (the bin's author's fault)
"""


class FunctionsError(Exception):
    """Root of this package's errors."""


class NodeMissing(FunctionsError):
    """No Node of a version that can run Functions was found."""


class TemplateError(FunctionsError):
    """A bin's template is wrong. `code` is Twilio's: 11300 tag, 11310 token, 11320 sections."""

    def __init__(self, code: int, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.code = code
        self.line = line
