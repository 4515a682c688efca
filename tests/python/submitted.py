"""Calls tasks that send other tasks, and prints what a client of Celery sees of these as JSON."""

import json
import sys

from celery import Celery
from celery.result import AsyncResult

PATIENCE = 40  # seconds; a busy machine needs some of them


def children(app):
    """The tasks that a task sent are its children; each knows its parent."""
    call = app.send_task("odd.sends", args=["odd.told", 3, "success", "ok"])
    ids = call.get(timeout=PATIENCE)
    told = [child.get(timeout=PATIENCE) for child in call.children]
    return {
        "same": [child.id for child in call.children] == ids,
        "parents": all(parent == root == call.id for _, root, parent, *_ in told),
        "collected": len(list(AsyncResult(call.id, app=app).collect())),
    }


def python(app):
    """A task in the sandbox sends one to a worker of Celery."""
    call = app.send_task("odd.sends", args=["py.nap", 1, "now", "ok"])
    [nap] = call.get(timeout=PATIENCE)
    return {"said": AsyncResult(nap, app=app).get(timeout=PATIENCE)}


def replaced(app):
    """Whoever waits for a task gets the result of the one that took over."""
    call = app.send_task("odd.replaces", args=["odd.told"])
    return {"same": call.get(timeout=PATIENCE)[0] == call.id}


def denied(app):
    """A denial reaches the caller with the line that would allow it."""
    call = app.send_task("odd.sends", args=["text.word_count", 1, "now", "ok"])
    return {"said": str(call.get(timeout=PATIENCE, propagate=False))}


def main():
    broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [children, python, replaced, denied]
    print(json.dumps({scene.__name__: scene(app) for scene in scenes}))


main()
