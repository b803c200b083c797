"""Wait until a service is ready and ask it for one ranking; exit 1 with the reason otherwise.

python tests/packaging/rank_once.py http://127.0.0.1:PORT
"""

import json
import sys
import time
import urllib.error
import urllib.request

DEADLINE_S = 60
KEY = "nextwise-development-key"


def call(url: str, body: dict[str, object] | None = None) -> bytes:
    """GET, or POST with a JSON body, as the demo tenant; the body of the answer."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read()


def main(base: str) -> None:
    """Ready within the deadline, then one ranking of all three items."""
    started = time.monotonic()
    while True:
        try:
            call(f"{base}/readyz")
            break
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() - started > DEADLINE_S:
                sys.exit(f"not ready after {DEADLINE_S} s: {error}")
            time.sleep(0.5)
    answer = json.loads(call(f"{base}/v1/recommendations", {"learner_id": "L1", "limit": 3}))
    shown = [item["item_id"] for row in answer["rows"] for item in row["items"]]
    if sorted(shown) != ["feedback", "tables", "welcome"]:
        sys.exit(f"expected all three items, got {answer}")
    print(f"ready after {time.monotonic() - started:.1f} s, ranked {shown}, bundle {answer['bundle']}")


if __name__ == "__main__":
    main(sys.argv[1])
