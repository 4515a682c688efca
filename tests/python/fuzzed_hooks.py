"""What schemathesis cannot know: how a component is sent, which tenant is there, and which
token must stay."""

import os

import schemathesis

OWN = os.environ["OWN_TOKEN"]


@schemathesis.serializer("application/wasm")
def component(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(_context, case, _kwargs):
    path = case.path_parameters or {}
    # Half of them get beyond the look whether there is such a thing.
    for name, known in (("tenant", "default"), ("module", "hostile")):
        given = path.get(name)
        if isinstance(given, str) and len(given) % 2:
            path[name] = known
    # It learns ids from answers; whoever ends their own token is told nothing more.
    if path.get("id") == OWN:
        path["id"] = "0123456789ab"
    # What waits for a task that nobody called answers after that time, and not before.
    query = case.query or {}
    if str(query.get("wait")).isdigit() and 1 < int(query["wait"]) <= 60:
        query["wait"] = 1
