"""Has schemathesis send the control plane what its document allows, and what it does not.

Prints whether it found anything, and its report.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

address, token, examples = sys.argv[1:]

# What the document promises of every answer. Which bad requests are refused is ours to say,
# and so what is allowed beyond its schemas, such as the addresses of brokers.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
]

with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{address}/v1/openapi.json",
            "--header",
            f"Authorization:Bearer {token}",
            "--checks",
            ",".join(CHECKS),
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            examples,
            "--seed",
            "1",
            "--suppress-health-check",
            "all",
            "--no-color",
        ],
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "fuzzed_hooks",
            "OWN_TOKEN": token.split("_")[1],
        },
        capture_output=True,
        text=True,
    )
report = done.stdout[-20000:] + done.stderr[-5000:]
print(json.dumps({"code": done.returncode, "report": report}))
