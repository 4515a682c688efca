"""Generates a client from the document of the API, and works with it.

Makes a tenant, a token and a module, and prints what it was answered.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

document, address, operator, component = sys.argv[1:]

folder = tempfile.mkdtemp()
settings = Path(folder, "settings.yml")
# Its authors know these two by other names.
settings.write_text(
    "post_hooks: []\n"
    "content_type_overrides:\n"
    "  application/wasm: application/octet-stream\n"
    "  application/openmetrics-text: text/plain\n"
)
subprocess.run(
    [
        sys.executable,
        "-m",
        "openapi_python_client",
        "generate",
        "--path",
        document,
        "--meta",
        "none",
        "--output-path",
        f"{folder}/plane",
        "--config",
        str(settings),
        "--fail-on-warning",
    ],
    check=True,
    cwd=folder,
    stdout=sys.stderr,
)
sys.path.insert(0, folder)

from plane import AuthenticatedClient  # noqa: E402
from plane.api.modules import list_modules, push_module  # noqa: E402
from plane.api.tenants import create_tenant, get_tenant  # noqa: E402
from plane.api.tokens import create_token  # noqa: E402
from plane.models import Failure, Scope, TenantWish, TokenWish  # noqa: E402
from plane.types import File  # noqa: E402

me = AuthenticatedClient(base_url=address, token=operator)
tenant = create_tenant.sync(client=me, body=TenantWish(name="generated"))
wish = TokenWish(name="ci", scope=Scope.DEPLOY)
token = create_token.sync("generated", client=me, body=wish)
ci = AuthenticatedClient(base_url=address, token=token.secret)
with open(component, "rb") as file:
    pushed = push_module.sync("generated", "images", client=ci, body=File(payload=file))
listed = list_modules.sync("generated", client=ci)
refused = get_tenant.sync("default", client=ci)
assert isinstance(refused, Failure), refused
print(
    json.dumps(
        {
            "tenant": tenant.name,
            "weight": tenant.weight,
            "pushed": pushed.version,
            "listed": [module.name for module in listed.modules],
            "refused": refused.error.code,
        }
    )
)
