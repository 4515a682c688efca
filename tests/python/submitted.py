"""Calls tasks that send other tasks, and prints what a client of Celery sees of these as JSON."""

import json
import sys

from celery import Celery, chain, chord
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


def divided(app):
    """What took over may be a chain, a group or a chord, and what follows waits for all of it."""
    shapes, seen = ["chain", "group", "chord"], {}
    divides = lambda shape: app.signature("odd.divides", args=[shape, 5], immutable=True)
    echo = lambda: app.signature("text.echo")
    for shape in shapes:
        seen[shape] = divides(shape).apply_async().get(timeout=PATIENCE)
        seen[f"{shape} in a chain"] = chain(divides(shape), echo())().get(timeout=PATIENCE)
    seen["header"] = chord([divides(shape) for shape in shapes])(echo()).get(timeout=PATIENCE)
    return seen


def composed(app):
    """A task in the sandbox sends a chain of a chord, and a job with everything."""
    call = app.send_task("shop.ship", args=[17, ["tea", "cup", "pot"]])
    seen = {"news": AsyncResult(call.get(timeout=PATIENCE), app=app).get(timeout=PATIENCE)}
    call = app.send_task("odd.furnishes")
    told = AsyncResult(call.get(timeout=PATIENCE), app=app).get(timeout=PATIENCE)
    seen["job"] = [told[1] == told[2] == call.id, *told[3:]]
    return seen


def grouped(app):
    """A group that a task sent is one child, with children of its own."""
    call = app.send_task("odd.groups", args=[3])
    group_id = call.get(timeout=PATIENCE)
    [sent] = call.children
    told = sent.get(timeout=PATIENCE)
    return {
        "same": sent.id == group_id,
        "members": [row[-1] for row in told],
        "collected": len(list(AsyncResult(call.id, app=app).collect())),
    }


def denied(app):
    """A denial reaches the caller with the line that would allow it."""
    call = app.send_task("odd.sends", args=["text.word_count", 1, "now", "ok"])
    return {"said": str(call.get(timeout=PATIENCE, propagate=False))}


def main():
    broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [children, python, replaced, divided, composed, grouped, denied]
    print(json.dumps({scene.__name__: scene(app) for scene in scenes}))


main()
