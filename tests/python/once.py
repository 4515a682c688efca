"""Calls tasks that run at most once, or whose code is gone, and prints what becomes of them and
of what follows them, as JSON.

    once.py SCENE BROKER BACKEND
"""

import json
import sys
import time
import uuid

from celery import Celery, chain, chord
from celery.result import AsyncResult

PATIENCE = 60  # seconds; a busy machine needs some of them


def caught(result):
    """Returns the class and the text of what `get` raises."""
    try:
        value = result.get(timeout=PATIENCE)
    except Exception as error:
        return [f"{type(error).__module__}.{type(error).__name__}", str(error)]
    return ["returned", value]


def followed(app, task, *args):
    """Everything that waits for a task hears of its end."""
    fail = app.signature(task, args=args)
    echo = lambda *args, **more: app.signature("text.echo", args=args, **more)
    errback = uuid.uuid4().hex
    alone = fail.clone().apply_async(link_error=echo("told", immutable=True).set(task_id=errback))
    behind = chain(fail.clone(), echo())()
    body = chord([fail.clone(), echo("a part")])(echo())
    return {
        "alone": caught(alone),
        "errback": caught(AsyncResult(errback, app=app)),
        "chain": caught(behind.parent),
        "behind": caught(behind),
        # Of a result that knows its parent, that is seen instead.
        "chord": caught(AsyncResult(body.id, app=app)),
    }


def begin(app):
    """Starts one that takes long, with an errback, and does not wait."""
    ids = {name: uuid.uuid4().hex for name in ("task", "errback")}
    told = app.signature("text.echo", args=["told"], immutable=True).set(task_id=ids["errback"])
    app.send_task("odd.pays", args=[120_000], task_id=ids["task"], link_error=told)
    while AsyncResult(ids["task"], app=app).state != "PAYING":
        time.sleep(0.02)
    return ids


def ended(app, *ids):
    return [caught(AsyncResult(name, app=app)) for name in ids]


def main():
    what, broker, backend, *more = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [followed, begin, ended]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app, *more)))


main()
