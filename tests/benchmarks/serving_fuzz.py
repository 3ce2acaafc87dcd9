"""At least 5,000 requests made from the service's own OpenAPI document, by schemathesis.

schemathesis is no dependency of the project (it would bring twenty more): install it anywhere and
name it, ``SCHEMATHESIS=/path/to/schemathesis python -m tests.benchmarks.serving_fuzz``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.serving_server import started

__all__ = ["measure"]

EXAMPLES = 3000
"""Cases an operation and phase; those with fewer possible ones end sooner."""

CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)


def measure() -> Iterator[str]:
    """Yield what schemathesis found, and what the audit of the server counted."""
    tool = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")
    if tool is None:
        yield "needs schemathesis"
        return
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with started("serving.service:RiskScore", home, {}) as server:
            document = home / "openapi.json"
            document.write_bytes(_smaller(httpx.get(f"{server.url}/openapi.json").json()))
            run = subprocess.run(
                [
                    tool, "run", str(document), "--url", server.url,
                    "--max-examples", str(EXAMPLES),
                    "--mode", "all", "--checks", CHECKS, "--max-response-time", "1", "--seed", "1",
                    "--phases", "examples,coverage,fuzzing", "--continue-on-failure",
                ],
                capture_output=True, text=True, check=False, cwd=home,
            )  # fmt: skip
            lines = [
                json.loads(line)
                for line in server.log.read_text(errors="replace").splitlines()
                if line.startswith("{")
            ]
        yield run.stdout[-3000:]
        statuses: dict[int, int] = {}
        for line in lines:
            statuses[line["status"]] = statuses.get(line["status"], 0) + 1
        predicting = [line for line in lines if line["route"] == "/v1/predict"]
        yield f"{len(lines)} requests in the audit, {len(predicting)} to predict; {statuses}"
        yield f"slowest {max(line['ms'] for line in lines):.0f} ms"
        yield f"unforeseen errors: {sum('fault' in line for line in lines)}"


def _smaller(document: dict[str, Any]) -> bytes:
    """Return the document with at most three patients: a thousand take seconds to make up."""
    for schema in document["components"]["schemas"].values():
        for name, most in (("patients", 3), ("times", 5)):
            if name in schema.get("properties", {}) and "maxItems" in schema["properties"][name]:
                schema["properties"][name]["maxItems"] = most
    return json.dumps(document).encode()


if __name__ == "__main__":
    for text in measure():
        print(text, flush=True)
    sys.exit(0)
