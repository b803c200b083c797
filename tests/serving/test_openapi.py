"""The document names every route that answers, and the page shows the whole document without a network."""

import re

from starlette.testclient import TestClient

from serving import service
from serving.app import APIS
from serving.openapi import merged
from serving.reference import page


def test_the_document_and_the_route_table_name_the_same_routes() -> None:
    mounted = {
        (route.path.replace(":path}", "}"), method.lower())  # type: ignore[attr-defined]
        for route in service.pages.app.routes
        if route.include_in_schema  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    bento = {(api.route, "post") for api in service.Nextwise.apis.values()}
    paths = service.pages.document["paths"]
    assert {(path, method) for path in paths for method in paths[path]} == mounted | bento
    assert {path for path, _ in bento} == set(APIS)


def test_every_reference_leads_somewhere_and_every_error_is_a_problem() -> None:
    document = service.pages.document
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names <= set(document["components"]["schemas"])
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                content = list(answer.get("content", {}))
                assert (content == ["application/problem+json"]) == (int(status) >= 400)
                assert bool(content) == (status not in ("204", "303"))


def test_limits_of_the_request_stand_in_the_document() -> None:
    request = service.pages.document["components"]["schemas"]["RecommendationsRequest"]
    assert request["properties"]["limit"] == {"default": 10, "maximum": 100, "minimum": 1, "title": "Limit", "type": "integer"}
    assert request["additionalProperties"] is False


def test_the_page_shows_every_route_and_field_and_needs_no_network(client: TestClient) -> None:
    text = client.get("/docs").text
    document = client.get("/openapi.json").json()
    assert document == merged(service.Nextwise.openapi_spec.asdict())
    for path in document["paths"]:
        assert f"<code>{path}</code>" in text
    for name, schema in document["components"]["schemas"].items():
        assert f'id="{name}"' in text
        assert all(f"<code>{field}</code>" in text for field in schema.get("properties", {}))
    assert not re.search(r"<script|<link|src=|https?://", text)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))


def test_the_page_escapes_what_it_shows() -> None:
    document = merged(service.Nextwise.openapi_spec.asdict())
    document["paths"]["/livez"]["get"]["summary"] = "<b>alive</b>"
    assert "&lt;b&gt;alive&lt;/b&gt;" in page(document)
