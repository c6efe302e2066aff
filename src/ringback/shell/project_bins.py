"""The bins of the project and of the store as they answer requests: each template is read once."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from ringback.functions import bins, limits
from ringback.functions.errors import TemplateError
from ringback.functions.project import Project
from ringback.shell.local_http import LocalAnswer
from ringback.shell.project_request import XML, ProjectRequest, plain, wrong_method

log = structlog.get_logger("ringback.functions")

StoredBin = Callable[[str], str | None]


class ProjectBins:
    """Documents of bins. `stored(sid)` gives the TwiML of a bin in the store."""

    def __init__(self, project: Project, stored: StoredBin) -> None:
        self._project = project
        self._stored = stored
        self._templates: dict[str, tuple[object, list[bins.Part]]] = {}
        self._constant: dict[str, LocalAnswer] = {}
        self._constant_of = -1

    def constant(self, method: str, url: str) -> LocalAnswer | None:
        """The document of a bin of the project without template tags: the same for every request."""
        if method not in {"GET", "POST"}:
            return None
        self._project.refresh()
        if self._constant_of != self._project.generation:
            self._constant.clear()
            self._constant_of = self._project.generation
        return self._constant.get(urlsplit(url).path)

    def of_file(self, request: ProjectRequest, name: str) -> LocalAnswer | None:
        """The document of a bin of the project; None if there is none of this name."""
        item = self._project.bins.get(name.removesuffix(".xml"))
        if item is None:
            return None
        key = (self._project.generation, item.path)
        try:
            text = Path(item.path).read_text(encoding="utf-8") if self._stale(item.path, key) else ""
        except (OSError, UnicodeDecodeError) as error:
            log.warning("a bin cannot be read", name=name, error=str(error))
            return plain(500, "the bin cannot be read")
        answer = self._render(request, item.path, key, text)
        template = self._templates.get(item.path)
        if answer.status == 200 and template is not None:
            self._keep_constant(urlsplit(request.sent.url).path, request.path, template[1], answer)
        return answer

    def _keep_constant(self, sent: str, path: str, template: list[bins.Part], answer: LocalAnswer) -> None:
        """Keep a document for ``constant``, by the path as it was sent: it must be the path that was meant."""
        is_constant = sent == path and all(isinstance(part, bins.Text) for part in template)
        is_current = self._constant_of == self._project.generation
        if is_constant and is_current and len(self._constant) < limits.PROJECT_FILES:
            self._constant[path] = answer

    def of_row(self, request: ProjectRequest, sid: str) -> LocalAnswer | None:
        """The document of a bin of the store; None if there is none of this SID."""
        text = self._stored(sid)
        if text is None:
            return None
        return self._render(request, sid, text, text)

    def _stale(self, name: str, key: object) -> bool:
        known = self._templates.get(name)
        return known is None or known[0] != key

    def _render(self, request: ProjectRequest, name: str, key: object, text: str) -> LocalAnswer:
        """A bin's document; its template is read once for each `key`."""
        if (refusal := wrong_method(request.sent)) is not None:
            return refusal
        try:
            if self._stale(name, key):
                if len(self._templates) >= limits.PROJECT_FILES:
                    self._templates.clear()
                self._templates[name] = (key, bins.parse(text))
            document = bins.render(self._templates[name][1], bins.collect(request.pairs))
        except TemplateError as error:
            return plain(400, f"error {error.code}: {error}")._replace(
                error_code=error.code, error_text=str(error)
            )
        return LocalAnswer(200, XML, document.encode())
