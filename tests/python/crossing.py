"""One tenant tries, with its own addresses, whatever might be another's; prints what came of it as JSON.

    crossing.py HERE THERE SCENE…

HERE is who tries, THERE the other: {"broker", "result_backend", "prefix"}. THERE alone has the task
`report.build`. A `fence` is a task of THERE that is sent after all that was tried: what would have
crossed came before it.
"""

import json
import sys
import uuid

from celery import Celery, chain, chord

from patience import PATIENCE, caught, until


def application(place):
    app = Celery(broker=place["broker"], backend=place["result_backend"], set_as_current=False)
    app.conf.broker_connection_retry_on_startup = True
    if place.get("prefix"):
        options = {"global_keyprefix": place["prefix"]}
        app.conf.broker_transport_options = options
        app.conf.result_backend_transport_options = options
    return app


def ask(app, command, **arguments):
    """What the one worker that is heard answers."""
    (answer,) = app.control.broadcast(command, arguments, reply=True, timeout=PATIENCE, limit=1)
    (said,) = answer.values()
    return said


def busy(app):
    return [task["id"] for task in ask(app, "active")]


def hold(app):
    """Sends a task that runs until it is told to stop."""
    sent = app.send_task("odd.stays", [600_000])
    until("it runs", lambda: sent.id in busy(app))
    return sent


def release(app, *held):
    for one in held:
        app.control.revoke(one.id, terminate=True)
    until("they end", lambda: not set(busy(app)) & {one.id for one in held})


def runs(app, task):
    return ask(app, "stats")["total"].get(task, 0)


def fence(there):
    return there.send_task("report.build", ["t", 1, 0]).get(timeout=PATIENCE)["pages"]


def names(here, there):
    """The name of a task of the other's."""
    return {"here": caught(here.send_task("report.build", ["t", 1, 0])), "there": fence(there)}


def ids(here, there):
    """The id of a task of the other's: looked at, used again, forgotten."""
    theirs = there.send_task("text.echo", ["secret"])
    theirs.get(timeout=PATIENCE)
    look = here.AsyncResult(theirs.id)
    seen = {"looked": [look.state, look.result]}
    again = here.send_task("text.echo", ["mine"], task_id=theirs.id)
    seen["again"] = again.get(timeout=PATIENCE)
    here.AsyncResult(theirs.id).forget()
    seen["forgotten"] = here.AsyncResult(theirs.id).state
    seen["theirs"] = there.AsyncResult(theirs.id).get(timeout=PATIENCE)
    # One that runs is as much its own.
    held = hold(there)
    seen["beside"] = here.send_task("text.echo", ["mine"], task_id=held.id).get(timeout=PATIENCE)
    seen["runs"] = [there.AsyncResult(held.id).state, held.id in busy(there)]
    release(there, held)
    return seen


def groups(here, there):
    """Parts for the other's chord, and a body of one's own for its group."""
    slow = there.signature("odd.waits", args=[3_000])
    body = there.signature("text.echo")
    theirs = chord([there.signature("text.echo", args=[1]), slow], app=there)(body)
    group = theirs.parent.id
    mine = here.signature("text.echo", options={"task_id": str(uuid.uuid4())})
    for number in range(4):
        part = here.send_task("text.echo", ["forged"], group_id=group, group_index=number, chord=mine)
        part.get(timeout=PATIENCE)
    look = here.GroupResult.restore(group)
    seen = {"restored": look is not None, "ended": theirs.get(timeout=PATIENCE)}
    seen["mine"] = here.AsyncResult(mine.options["task_id"]).state
    return seen


def queues(here, there):
    """The other's queue by every name that might be one, wherever a message names a queue."""
    before = runs(there, "report.build")
    queues = ["celeriac:other:celery", "other/celery", "//other/celery", "../other/celery", "other.celery"]
    for queue in queues:
        stray = here.signature("report.build", args=["stray", 1, 0], immutable=True).set(queue=queue)
        here.send_task("report.build", ["stray", 1, 0], queue=queue)
        here.send_task("text.echo", [1], link=stray).get(timeout=PATIENCE)
        caught(here.send_task("text.word_count", [], link_error=stray))
        first = here.signature("text.echo", args=[1])
        chain(first, stray, app=here).apply_async().parent.get(timeout=PATIENCE)
    for exchange in ("other", "celeriac:other:celery"):
        stray = here.signature("report.build", args=["stray", 1, 0], immutable=True)
        stray = stray.set(exchange=exchange, routing_key="celery")
        caught(here.send_task("text.echo", [1], link=stray))
    fence(there)
    return {"strays": runs(there, "report.build") - before - 1, "here": here.send_task("text.echo", [7]).get(timeout=PATIENCE)}


def replies(here, there):
    """The queue where the other waits, and the id that it waits for."""
    slow = there.send_task("odd.waits", [3_000])
    queue = there.thread_oid
    for number in range(4):
        here.send_task("text.echo", ["forged"], task_id=slow.id, reply_to=queue)
        here.send_task("text.echo", [number]).get(timeout=PATIENCE)
    return {"theirs": slow.get(timeout=PATIENCE)}


def shelves(here, there):
    """The same key of a module of the same name."""
    def keep(app, value):
        return app.send_task("odd.keeps", ["colour", value]).get(timeout=PATIENCE)

    seen = [keep(there, "red"), keep(here, "green"), keep(here, "blue"), keep(there, "black")]
    cleared = here.send_task("odd.clears").get(timeout=PATIENCE)
    return {"before": seen, "cleared": cleared, "left": keep(there, "white")}


OWN = {
    "shutdown": {},
    "pool_grow": {"n": 1},
    "pool_shrink": {"n": 1},
    "pool_restart": {},
    "autoscale": {"max": 9, "min": 9},
    "conf": {"with_defaults": False},
    "dump_conf": {"with_defaults": False},
    "report": {},
}


def control(here, there):
    """Remote control: what it shows of the other, and what it does to it."""
    theirs, mine = hold(there), hold(here)
    revoked = str(uuid.uuid4())
    ask(there, "revoke", task_id=revoked)
    echo = lambda app, number: app.send_task("text.echo", [number]).get(timeout=PATIENCE)
    echo(there, 1)
    seen = {
        "active": busy(here) == [mine.id],
        "query": list(ask(here, "query_task", ids=[theirs.id, mine.id])) == [mine.id],
        "registered": [task for task in ask(here, "registered") if task.startswith("report.")],
        "total": runs(here, "report.build"),
        "revoked": [revoked in ask(app, "revoked") for app in (here, there)],
        "queues": [queue["name"] for queue in ask(here, "active_queues")],
        "refused": {command: ask(here, command, **arguments) for command, arguments in OWN.items()},
    }
    for one in (theirs, mine):
        ask(here, "revoke", task_id=one.id, terminate=True, signal="SIGTERM")
    until("one's own ends", lambda: not busy(here))
    seen["terminated"] = theirs.id not in busy(there)
    ask(here, "rate_limit", task_name="text.echo", rate_limit="1/h")
    ask(here, "time_limit", task_name="odd.waits", hard=1, soft=None)
    ask(here, "cancel_consumer", queue="celery")
    seen["meanwhile"] = [echo(there, number) for number in range(3)]
    waits = there.send_task("odd.waits", [1_500])
    seen["limited"] = caught(waits)[0]
    # Its own lane is as it was told.
    ask(here, "add_consumer", queue="celery")
    seen["own"] = caught(here.send_task("odd.waits", [600_000]))[0]
    ask(here, "rate_limit", task_name="text.echo", rate_limit=0)
    seen["at last"] = echo(here, 8)
    release(there, theirs)
    return seen


def listen(app, first, last):
    """The events that are heard: `first` is done once it listens, `last` returns the task to wait for."""
    seen, waited = [], None
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": lambda event: seen.append(dict(event))})
        for _ in receiver.itercapture(limit=None, timeout=PATIENCE):
            if waited is None:
                first()
                waited = last().id
            if any(event.get("uuid") == waited and event["type"] == "task-succeeded" for event in seen):
                return seen, waited
    raise TimeoutError("no event of the last task")


def events(here, there):
    """What monitors of either hear of the other, and whether one can speak for the other."""
    def run(app):
        task = app.send_task("text.echo", [1])
        task.get(timeout=PATIENCE)
        return task

    heard, mine = listen(here, lambda: [run(there), fence(there)], lambda: run(here))
    seen = {"others": sorted({event["uuid"] for event in heard if "uuid" in event} - {mine})}

    def forge():
        with here.connection_for_write() as connection:
            with here.events.Dispatcher(connection, hostname="forged@host") as dispatcher:
                dispatcher.send("task-failed", uuid="forged", exception="forged")
                dispatcher.send("worker-offline")

    heard, _ = listen(there, forge, lambda: run(there))
    seen["forged"] = [event for event in heard if "forged" in json.dumps(event)]
    return seen


here, there, *scenes = sys.argv[1:]
here, there = application(json.loads(here)), application(json.loads(there))
for app in here, there:
    until("it is heard", lambda: app.control.ping(timeout=1, limit=1))
known = [names, ids, groups, queues, replies, shelves, control, events]
known = {scene.__name__: scene for scene in known}
print(json.dumps({scene: known[scene](here, there) for scene in scenes}))
