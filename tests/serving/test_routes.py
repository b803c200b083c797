"""Which route a request comes to, and what stands in its path."""

from serving.routes import UNKNOWN, Found, Routes


def test_a_request_needs_the_scope_of_the_route_that_takes_it() -> None:
    """An id may hold a slash: to erase the learner `x/skills` is not to read the skills of `x`."""
    routes = {
        "/v1/learners/{learner_id:path}/skills": {"GET", "HEAD"},
        "/v1/learners/{learner_id:path}": {"DELETE"},
        "/v1/learners/count": {"GET", "HEAD"},
        "/v1/events": {"POST"},
    }
    found = [
        Routes(routes).find(method, path).route
        for method, path in [
            ("GET", "/v1/learners/x/skills"),
            ("DELETE", "/v1/learners/x/skills"),
            ("PATCH", "/v1/learners/x/skills"),
            ("DELETE", "/v1/learners/count"),
            ("GET", "/v1/events"),
            ("GET", "/v1/learners/{learner_id:path}/skills"),
            ("GET", "/v1/none"),
        ]
    ]
    skills, learner = "/v1/learners/{learner_id}/skills", "/v1/learners/{learner_id}"
    assert found == [skills, learner, skills, learner, "/v1/events", skills, "unknown"]


def test_what_a_name_in_the_path_stands_for_is_the_whole_of_it() -> None:
    routes = Routes({"/v1/learners/{learner_id:path}/skills": {"GET"}, "/v1/rank": {"POST"}})
    found = routes.find("GET", "/v1/learners/a/skills/skills")
    assert found == Found("/v1/learners/{learner_id}/skills", {"learner_id": "a/skills"})
    assert routes.find("POST", "/v1/rank") == Found("/v1/rank", {})
    assert routes.find("POST", "/v1/rank/") == Found(UNKNOWN, {})
    assert routes.methods("/v1/learners/a/skills") == {"GET"}
    assert routes.methods("/v1/none") == set()
