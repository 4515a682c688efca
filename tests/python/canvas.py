"""Composes tasks as any Celery program does, and prints what it saw as JSON."""

import json
import sys

from celery import Celery, chain, chord, group
from celery.result import AsyncResult

PATIENCE = 60  # seconds; a busy machine needs some of them


class Tasks:
    """Signatures of tasks that only workers know."""

    def __init__(self, app):
        self.app = app

    def __getattr__(self, name):
        def sign(*args, **kwargs):
            return self.app.signature(f"numbers.{name}", args=args, kwargs=kwargs)

        return sign

    def echo(self, value):
        return self.app.signature("text.echo", args=[value])

    def fails(self, *args, **options):
        return self.app.signature("flaky.fails", args=["ValueError", "boom"], immutable=True, **options)


def caught(result):
    """Returns the class and the text of what `get` raises."""
    try:
        value = result.get(timeout=PATIENCE)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["returned", value]


def chains(app, t):
    add, multiply = t.add, t.multiply
    seen = {}
    first = chain(add(1, 2), add(3), multiply(4))()
    seen["three"] = first.get(timeout=PATIENCE)
    seen["steps"] = [first.parent.get(timeout=PATIENCE), first.parent.parent.get(timeout=PATIENCE)]
    meta = app.backend.get_task_meta(first.parent.id)
    seen["child"] = [child[0][0] for child in meta["children"]] == [first.id]
    seen["parent"] = meta.get("parent_id") == first.parent.parent.id
    seen["one"] = chain(add(1, 2))().get(timeout=PATIENCE)
    seen["immutable"] = chain(add(1, 2), app.signature("numbers.add", args=(5, 5), immutable=True))().get(timeout=PATIENCE)
    seen["long"] = chain(add(0, 0), *[add(1) for _ in range(50)])().get(timeout=PATIENCE)
    failed = chain(add(1, 2), t.fails(), add(3), add(4))()
    seen["failed"] = caught(failed)
    # They are failed after what failed itself, the last one at the end.
    for unreached in (failed.parent, failed):
        caught(AsyncResult(unreached.id, app=app))
    seen["unreached"] = [failed.state, failed.parent.state, failed.parent.parent.state, failed.parent.parent.parent.state]
    unknown = chain(add(1, 2), app.signature("no.such"), add(3))()
    seen["unknown"] = caught(unknown)[0]
    return seen


def replies(app, t):
    """What a client sees to whom results are sent: those of its own tasks."""
    seen = {"three": chain(t.add(1, 2), t.add(3), t.multiply(4))().get(timeout=PATIENCE)}
    seen["failed"] = caught(chain(t.add(1, 2), t.fails(), t.add(3))())
    seen["groups"] = group(t.add(n, n) for n in range(3))().get(timeout=PATIENCE)
    seen["in_chain"] = (t.add(1, 1) | group(t.add(n) for n in range(3)))().get(timeout=PATIENCE)
    return seen


def links(app, t):
    seen = {}
    one, two = t.add(10).set(task_id="link-one"), t.add(20).set(task_id="link-two")
    call = t.add(1, 2).apply_async(link=[one, two])
    seen["result"] = call.get(timeout=PATIENCE)
    seen["linked"] = [AsyncResult(name, app=app).get(timeout=PATIENCE) for name in ("link-one", "link-two")]
    alone = t.add(100).set(task_id="link-alone")
    t.add(1, 2).apply_async(link=alone)
    seen["alone"] = AsyncResult("link-alone", app=app).get(timeout=PATIENCE)
    errback = app.signature("text.echo").set(task_id="errback")
    failed = t.fails().apply_async(link_error=errback)
    seen["failed"] = caught(failed)
    seen["errback"] = AsyncResult("errback", app=app).get(timeout=PATIENCE) == failed.id
    both = [app.signature("text.echo").set(task_id=f"errback-{n}") for n in (1, 2)]
    failed = app.send_task("no.such", link_error=both)
    seen["unknown"] = caught(failed)[0]
    seen["errbacks"] = [AsyncResult(f"errback-{n}", app=app).get(timeout=PATIENCE) == failed.id for n in (1, 2)]
    return seen


def groups(app, t):
    seen = {}
    seen["three"] = group(t.add(n, n) for n in range(3))().get(timeout=PATIENCE)
    seen["in_chain"] = (t.add(1, 1) | group(t.add(n) for n in range(3)))().get(timeout=PATIENCE)
    seen["nested"] = group(t.add(1, 1), group(t.add(2, 2), t.add(3, 3)))().get(timeout=PATIENCE)
    return seen


def chords(app, t):
    add, total = t.add, t.total
    seen = {}
    seen["simple"] = chord([add(n, n) for n in range(10)])(total()).get(timeout=PATIENCE)
    seen["one"] = chord([add(1, 1)])(total()).get(timeout=PATIENCE)
    seen["empty"] = chord([])(total()).get(timeout=PATIENCE)
    seen["in_chain"] = (add(1, 2) | group(add(3), add(4)) | total() | t.multiply(2))().get(timeout=PATIENCE)
    seen["of_chains"] = chord([chain(add(1, 1), add(1)), add(2, 2)])(total()).get(timeout=PATIENCE)
    seen["of_chords"] = chord([chord([add(1, 1), add(2, 2)], total()), add(5, 5)])(total()).get(timeout=PATIENCE)
    seen["twice"] = (group(add(1, 1), add(2, 2)) | total() | group(add(1), add(2)) | total())().get(timeout=PATIENCE)
    seen["body_chain"] = chord([add(1, 1), add(2, 2)])(chain(total(), add(1), add(1))).get(timeout=PATIENCE)
    seen["body_group"] = (group(add(1, 1), add(2, 2)) | group(total(), total()))().get(timeout=PATIENCE)
    seen["ends_in_group"] = chord([chain(add(1, 1), group(add(1), add(2))), add(9, 9)])(app.signature("text.echo")).get(timeout=PATIENCE)
    deep = add(1, 1)
    for _ in range(5):
        deep = chord([deep, add(1, 1)], total())
    seen["deep"] = deep.apply_async().get(timeout=PATIENCE)
    seen["order"] = chord([t.echo(n) for n in range(30)])(app.signature("text.echo")).get(timeout=PATIENCE) == list(range(30))
    return seen


def chord_errors(app, t):
    seen = {}
    failed = chord([t.add(1, 1), t.fails()])(t.total().on_error(app.signature("text.echo").set(task_id="body-errback")))
    seen["failed"] = caught(AsyncResult(failed.id, app=app))
    seen["errback"] = AsyncResult("body-errback", app=app).get(timeout=PATIENCE) == failed.id
    inside = chord([chain(t.fails(), t.add(1)), t.add(1, 1)])(t.total())
    seen["in_chain"] = caught(AsyncResult(inside.id, app=app))[0]
    rest = (group(t.add(1, 1), t.fails()) | t.total() | t.add(1))()
    seen["rest"] = caught(AsyncResult(rest.id, app=app))[0]
    unknown = chord([t.add(1, 1), app.signature("no.such")])(t.total())
    seen["unknown"] = caught(AsyncResult(unknown.id, app=app))[0]
    expired = chord([t.add(1, 1), t.add(1, 1).set(expires=-1)])(t.total())
    seen["expired"] = caught(AsyncResult(expired.id, app=app))[0]
    outer = chord([chord([t.fails(), t.add(1, 1)], t.total()), t.add(1, 1)])(t.total())
    seen["nested"] = caught(AsyncResult(outer.id, app=app))[0]
    return seen


def mixed(app, t):
    """Composes tasks of which some are in Python and some are not."""
    ours, theirs = t.add, lambda *args: app.signature("py.add", args=args)
    total_here, total_there = t.total(), app.signature("py.total")
    seen = {}
    seen["chain"] = chain(ours(1, 2), theirs(3), ours(4), theirs(5), ours(6))().get(timeout=PATIENCE)
    seen["from_there"] = chain(theirs(1, 2), ours(3), theirs(4))().get(timeout=PATIENCE)
    half = [ours(1, 1), theirs(2, 2), ours(3, 3), theirs(4, 4)]
    seen["group"] = group(half)().get(timeout=PATIENCE)
    seen["body_here"] = chord(half)(total_here).get(timeout=PATIENCE)
    seen["body_there"] = chord(half)(total_there).get(timeout=PATIENCE)
    seen["in_chain"] = (theirs(1, 1) | group(ours(1), theirs(2)) | total_there | ours(5)).apply_async().get(timeout=PATIENCE)
    boom = app.signature("py.boom", immutable=True)
    seen["failed_there"] = caught(chain(ours(1, 2), boom, ours(3))())
    failed = chord([ours(1, 1), boom])(total_here)
    seen["chord_failed_there"] = caught(AsyncResult(failed.id, app=app))[0]
    failed = chord([theirs(1, 1), t.fails()])(total_there)
    seen["chord_failed_here"] = caught(AsyncResult(failed.id, app=app))[0]
    return seen


def many(app, t):
    """Sends chords whose workers are killed meanwhile, and waits for each."""
    calls = []
    for n in range(40):
        header = [chain(t.add(n, i), t.add(1)) for i in range(5)] + [t.add(n, i) for i in range(5)]
        calls.append(chord(header)(chain(t.total(), t.multiply(2))))
    got = [call.get(timeout=2 * PATIENCE) for call in calls]
    return {"right": got == [2 * (10 * n + 25) for n in range(40)]}


def frozen(app, t):
    """Applies signatures with ids of their own twice."""
    steps = chain(t.add(1, 2), t.add(3), t.add(4))
    steps.freeze()
    seen = {"chain": [steps.apply_async().get(timeout=PATIENCE) for _ in range(2)]}
    call = t.fails().apply_async(task_id="resent")
    seen["failed"] = caught(call)
    app.send_task("text.echo", args=["later"], task_id="resent", link=t.echo("told").set(task_id="told", immutable=True))
    return seen


def resent(app, t):
    return {"failed": caught(AsyncResult("resent", app=app)), "told": AsyncResult("told", app=app).state}


def unheard(app, t):
    """A chord of which one part's end is stored and not heard of."""
    lost = t.add(1, 1).set(task_id="unheard", link=[t.add(10).set(task_id="linked")])
    body = chord([lost, t.add(2, 2)])(t.total())
    linked = AsyncResult("linked", app=app).get(timeout=PATIENCE)
    return {"body": body.get(timeout=PATIENCE), "linked": linked}


def main():
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [chains, replies, links, groups, chords, chord_errors, mixed, many, frozen, resent, unheard]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app, Tasks(app))))


main()
