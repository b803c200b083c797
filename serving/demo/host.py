"""A host LMS, as the demo is one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from features.catalogue import Catalogue, Learner


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Host:
    """A host LMS: it knows its learners and its catalogue, and where Nextwise answers."""

    url: str
    key: str
    catalogue: Catalogue

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One call. Raises DemoError with the service's own words."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return self._answer(path, Request(self.url + path, json.dumps(body).encode(), headers))

    def put(self, path: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Rows of the catalogue. Raises DemoError with the service's own words."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return self._answer(path, Request(self.url + path, json.dumps(list(rows)).encode(), headers, method="PUT"))

    def delete(self, path: str) -> None:
        """Takes a row back. Raises DemoError with the service's own words."""
        self._answer(path, Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"}, method="DELETE"))

    def _answer(self, path: str, request: Request) -> dict[str, Any]:
        try:
            with urlopen(request, timeout=10) as answer:
                found: dict[str, Any] = json.loads(answer.read() or b"{}")
        except HTTPError as error:
            raise DemoError(f"{path} answered {error.code}: {error.read().decode()}") from error
        except (URLError, OSError) as error:
            raise DemoError(f"{self.url}{path}: {error}; is the service running (python -m serving serve)?") from error
        return found

    def get(self, path: str) -> dict[str, Any]:
        """One question. Raises DemoError with the service's own words."""
        return self._answer(path, Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"}))

    def recommend(self, learner: Learner) -> dict[str, Any]:
        """Ten items for a learner."""
        return self.post("/v1/recommendations", {"learner_id": learner.id, "limit": 10, "surface": "demo"})

    def title(self, item_id: str) -> str:
        """An item in a line."""
        item = self.catalogue.items.get(item_id)
        if item is None:
            return item_id
        minutes = f", {item.duration_s / 60:.0f} min" if item.duration_s else ""
        return f"{item.title} ({item.type.value.replace('_', ' ')}{minutes})"
