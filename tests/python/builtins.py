"""Uses the tasks that every worker of Celery has, and prints what it saw as JSON."""

import json
import sys
import uuid

from celery import Celery, chord
from celery.result import AsyncResult

PATIENCE = 60  # seconds; a busy machine needs some of them


class Tasks:
    """Tasks that only workers know; here they have but a name."""

    def __init__(self, app):
        def named(name):
            def stub(*args):
                raise NotImplementedError

            return app.task(stub, name=name)

        self.add, self.total = named("numbers.add"), named("numbers.total")
        self.echo, self.fails = named("text.echo"), named("flaky.fails")
        self.until, self.unknown = named("flaky.fails_until"), named("no.such")


def caught(result):
    """Returns the class and the text of what `get` raises."""
    try:
        value = result.get(timeout=PATIENCE)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["returned", value]


def got(call):
    return call.apply_async().get(timeout=PATIENCE)


def calls(app, t):
    pairs = [(n, n) for n in range(10)]
    seen = {}
    seen["map"] = got(t.total.map([[1, 2], [3], []]))
    seen["order"] = got(t.echo.map(list(range(50)))) == list(range(50))
    seen["none"] = got(t.echo.map([]))
    seen["starmap"] = got(t.add.starmap(pairs[:3]))
    seen["chunks"] = got(t.add.chunks(pairs, 4))
    seen["chunks_group"] = got(t.add.chunks(pairs, 4).group())
    seen["in_chain"] = got(t.total.map([[1, 2], [3]]) | t.total.s())
    seen["in_chord"] = chord(t.add.chunks(pairs, 4).group())(t.echo.s()).get(timeout=PATIENCE)
    pairs = pairs[:5]
    seen["chunks_step"] = got(t.echo.si(1) | t.add.chunks(pairs, 2).group() | t.echo.s())
    seen["chunks_alone"] = caught((t.echo.si(1) | t.add.chunks(pairs, 2)).apply_async())
    # A map takes nothing of what was before it.
    seen["map_step"] = got(t.add.s(1, 2) | t.total.map([[1, 2], [3]]) | t.total.s())
    seen["maps"] = got(t.total.map([[1, 2], [3]]) | t.add.starmap([(1, 1)]))
    seen["chord_of_maps"] = chord([t.total.map([[1], [2]]), t.add.starmap([(1, 1)])])(t.echo.s()).get(timeout=PATIENCE)
    linked = t.total.map([[1, 2]]).set(task_id=str(uuid.uuid4()))
    call = t.add.apply_async((1, 2), link=linked)
    first = call.get(timeout=PATIENCE)
    # Tables of older releases do not tell of children.
    (child,) = call.children or [AsyncResult(linked.id, app=app)]
    seen["linked_map"] = [first, child.get(timeout=PATIENCE)]
    seen["failed"] = caught(t.fails.starmap([("ValueError", "boom"), ("KeyError", "late")]).apply_async())
    seen["unknown"] = caught(t.unknown.map([1]).apply_async())[0]
    seen["retried"] = got(t.until.starmap([(0, 1), (1, 1)]))
    seen["limited"] = caught(t.echo.map(["x" * 100_000] * 50).apply_async())[0]
    seen["wrong"] = caught(app.send_task("celery.map", kwargs={"task": t.echo.s(), "it": 1}))[0]
    return seen


def accumulated(app, t):
    def send(*args, **kwargs):
        return app.send_task("celery.accumulate", args=list(args), kwargs=kwargs)

    seen = {"all": send(1, "b", None).get(timeout=PATIENCE)}
    seen["one"] = send(1, "b", None, index=-2).get(timeout=PATIENCE)
    seen["over"] = caught(send(1, index=1))[0]
    return seen


def chords(app, t):
    add, total = t.add.s, t.total.s
    seen = {}
    seen["python"] = chord([add(n, n) for n in range(5)])(total()).get(timeout=PATIENCE)
    seen["here"] = got(add(1, 2) | chord([add(3), add(4)], total()) | add(100))
    seen["chunks_here"] = got(t.echo.si(1) | chord([t.add.chunks([(1, 1), (2, 2), (3, 3)], 2).group(), add(5)], t.echo.s()))
    failed = chord([add(1, 1), t.fails.si("ValueError", "boom")])(total())
    seen["failed"] = caught(AsyncResult(failed.id, app=app))
    inside = (add(1, 1) | chord([add(1), t.fails.si("ValueError", "boom")], total())).apply_async()
    seen["failed_here"] = caught(AsyncResult(inside.id, app=app))
    return seen


def many(app, t):
    """Sends chords whose workers are killed meanwhile, and waits for each."""
    sent = [(t.add.s(n, 1) | chord([t.add.s(i) for i in range(3)], t.total.s())).apply_async() for n in range(6)]
    return {"right": [call.get(timeout=PATIENCE) for call in sent] == [3 * (n + 1) + 3 for n in range(6)]}


def main():
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [calls, accumulated, chords, many]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app, Tasks(app))))


main()
