"""A project with its Functions' workers, for tests of them."""

from pathlib import Path
from typing import Any

from ringback.functions import Credentials, FunctionAnswer, FunctionPool, Project
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.project_http import ProjectHandler

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
TOKEN = "0123456789abcdef0123456789abcdef"
SEEDS = Path(__file__).resolve().parents[2] / "shared" / "seeds"


class Place:
    """A project with its workers and its HTTP face."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.project = Project(directory)
        self.pool = FunctionPool(
            self.project,
            domain="ringback.localhost",
            base_url="http://127.0.0.1:9",
            credentials=lambda: Credentials("AC" + "0" * 32, TOKEN),
        )
        self.handler = ProjectHandler(
            self.project,
            self.pool,
            tokens=lambda account: [TOKEN],
            stored_bin={"EH" + "1" * 32: "<Response><Say>{{Name}}</Say></Response>"}.get,
        )

    def put(self, name: str, code: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        self.project.read()

    async def call(self, name: str, **event: Any) -> FunctionAnswer:
        return await self.pool.call(name, self.project.functions[name].path, event)

    async def run(self, body: str, **event: Any) -> FunctionAnswer:
        """Runs one handler with this body."""
        self.put(
            "functions/it.js", f"exports.handler = async function (context, event, callback) {{ {body} }};"
        )
        return await self.call("it", **event)

    async def get(self, url: str, *headers: tuple[str, str], method: str = "GET") -> LocalAnswer:
        return await self.handler.handle(LocalRequest(method, f"http://ringback.localhost{url}", headers))


def texts(answer: FunctionAnswer) -> list[str]:
    return [line.text for line in answer.lines]
