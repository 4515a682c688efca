"""How the scripts wait for what workers do, and what they say of it."""

import time

PATIENCE = 60  # seconds; a busy machine needs some of them


def caught(result):
    """Returns the class and the text of what `get` raises."""
    try:
        value = result.get(timeout=PATIENCE)
    except Exception as error:
        return [f"{type(error).__module__}.{type(error).__name__}", str(error)]
    return ["returned", value]


def until(what, look):
    """Waits until a look sees something, and returns that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise TimeoutError(what)
