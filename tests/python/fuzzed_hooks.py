"""What schemathesis cannot know: how a component is sent, and which tenant is there."""

import schemathesis


@schemathesis.serializer("application/wasm")
def component(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def map_path_parameters(_context, path_parameters):
    # Half of them get beyond the look whether there is such a tenant.
    tenant = (path_parameters or {}).get("tenant")
    if isinstance(tenant, str) and len(tenant) % 2:
        path_parameters["tenant"] = "default"
    return path_parameters
