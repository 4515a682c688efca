"""Steers a worker by remote control, and prints what came of it as JSON.

    steered.py SCENE BROKER BACKEND NODE
"""

import json
import os
import sys
import time

from celery.exceptions import TimeoutError
from kombu import Exchange

from patience import PATIENCE, caught, until


class Steering:
    """One worker, and how to tell it something."""

    def __init__(self, app, node):
        self.app, self.node = app, node
        self.control = app.control
        self.once = {"destination": [node], "reply": True, "timeout": 20}

    def tell(self, command, **arguments):
        (answer,) = self.control.broadcast(command, arguments, **self.once)
        return answer[self.node]

    def ask(self, what, *arguments):
        inspect = self.control.inspect(destination=[self.node], timeout=20)
        return getattr(inspect, what)(*arguments)[self.node]

    def send(self, task, *arguments, **options):
        return self.app.send_task(task, arguments, **options)

    def limit(self, rate, task="text.echo"):
        answers = self.control.rate_limit(task, rate, **self.once)
        return answers[0][self.node]


def shown(one, *items, task="text.echo"):
    (line,) = [line for line in one.ask("registered", *items) if line.startswith(task)]
    return line


def rates(one):
    """A rate is obeyed, shown, and gone when it is switched off."""
    seen = {"before": shown(one), "set": one.limit("2/s")}
    seen["shown"] = [shown(one), shown(one, "rate_limit"), shown(one, "name", "rate_limit"), shown(one, "bind")]
    began = time.monotonic()
    for call in [one.send("text.echo", number) for number in range(5)]:
        call.get(timeout=PATIENCE)
    seen["took"] = time.monotonic() - began
    # By the other name that callers may use it is the same task.
    seen["hourly"] = one.limit("1/h", "old.echo")
    seen["aliased"] = [shown(one), shown(one, task="old.echo")]
    one.send("text.echo", 1).get(timeout=PATIENCE)
    seen["off"] = one.limit(0)
    # At the rate before, it would wait for an hour.
    seen["after"] = one.send("text.echo", 2).get(timeout=PATIENCE)
    seen["at last"] = shown(one)
    return seen


def lies(one, queue):
    with one.app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(queue, passive=True).message_count


def limits(one):
    """Time limits, queues and the size of the pool are what they are ordered to be."""
    seen = {"limit": one.tell("time_limit", task_name="report.nap", hard=1, soft=None)}
    seen["nap"] = caught(one.send("report.nap", 600_000))

    names = lambda: [queue["name"] for queue in one.ask("active_queues")]
    seen["queues"] = [names()]
    one.tell("add_consumer", queue="xq", exchange=None, exchange_type="direct", routing_key=None)
    seen["queues"].append(names())
    seen["added"] = one.send("text.echo", 3, queue="xq").get(timeout=PATIENCE)
    one.tell("cancel_consumer", queue="xq")
    seen["queues"].append(names())
    left = one.send("text.echo", 4, queue="xq")
    # By now it would have been taken, too.
    for number in range(5):
        one.send("text.echo", number).get(timeout=PATIENCE)
    seen["left"] = [left.state, lies(one, "xq")]
    one.tell("add_consumer", queue="xq")
    seen["again"] = left.get(timeout=PATIENCE)
    seen["described"] = one.tell("add_consumer", queue="zq", exchange="other", routing_key="a.b")
    (shape,) = [queue for queue in one.ask("active_queues") if queue["name"] == "zq"]
    seen["shape"] = [shape["exchange"]["name"], shape["routing_key"]]

    size = lambda: one.ask("stats")["pool"]["max-concurrency"]
    seen["sizes"] = [size()]
    for command, by in (("pool_grow", 3), ("pool_shrink", 1)):
        one.tell(command, n=by)
        seen["sizes"].append(size())
    return seen


def fed(one):
    """Queues are fed by the exchanges that are named when a worker is told to take from them."""

    def comes(kind, exchange, key):
        """Sends until something comes: a queue is bound soon after it is ordered."""
        exchange = Exchange(exchange, type=kind)

        def look():
            try:
                options = {"exchange": exchange, "routing_key": key, "declare": [exchange]}
                return one.send("text.echo", key, **options).get(timeout=2)
            except TimeoutError:
                return None

        return until(f"what is sent to {exchange}", look)

    add = lambda queue, **more: one.tell("add_consumer", queue=queue, **more)
    waits = one.send("text.echo", "waits", queue="there")
    seen = {
        "added": [
            add("direct", exchange="shops", routing_key="x.y"),
            add("topic", exchange="zoo", exchange_type="topic", routing_key="cats.#"),
            add("there", exchange="late"),
            add("own", exchange=None, exchange_type="direct", routing_key="of its own"),
            # What was configured stays as it is.
            add("zq", exchange="another"),
        ],
        "again": add("direct", exchange="shops", routing_key="x.y"),
    }
    names = ["direct", "topic", "there", "own", "zq"]
    shapes = {queue["name"]: queue for queue in one.ask("active_queues")}
    shape = lambda queue: [queue["exchange"]["name"], queue["exchange"]["type"], queue["routing_key"]]
    seen["shapes"] = [shape(shapes[name]) for name in names]
    ways = [
        ("direct", "shops", "x.y"), ("topic", "zoo", "cats.lion.old"), ("direct", "late", "there"),
        ("direct", "own", "of its own"), ("direct", "other", "a.b"),
    ]
    seen["come"] = [comes(*way) for way in ways]
    seen["waited"] = waits.get(timeout=PATIENCE)
    seen["fanout"] = add("all", exchange="everybody", exchange_type="fanout")
    if "ok" in seen["fanout"]:
        seen["heard"] = comes("fanout", "everybody", "whatever")
    seen["wrong"] = [add("w", exchange_type="headers"), add("w", exchange="x" * 256), add("", exchange="x")]
    seen["alive"] = one.send("text.echo", 1).get(timeout=PATIENCE)
    return seen


def looks(one):
    """Everything that can be asked while a task runs, one is not due, and one is revoked."""
    runs = one.send("odd.stays", 600_000)
    later = one.send("odd.stays", 600_000, countdown=3_600)
    until("it runs", lambda: runs.state == "STAYING")
    one.control.revoke(later.id, **one.once)
    seen = {name: one.ask(name) for name in ("stats", "active_queues", "active", "reserved", "scheduled", "revoked")}
    seen["safe"] = one.ask("active", True)
    seen["conf"] = one.ask("conf")
    seen["report"] = one.ask("report")["ok"]
    seen["query_task"] = one.ask("query_task", [runs.id, later.id])
    seen["ids"] = [runs.id, later.id]
    runs.revoke(terminate=True)
    runs.get(propagate=False, timeout=PATIENCE)
    return seen


def soon(one):
    """How long it takes from an order to one worker to REVOKED, wherever the task is."""
    places = {
        "runs": {},
        "runs elsewhere": {"queue": "second"},
        "waits": {"countdown": 3_600},
        "queued": {"queue": "nobody"},
    }
    seen = {}
    for name, options in places.items():
        task = one.send("odd.stays", 600_000, **options)
        if name.startswith("runs"):
            until(f"{name}: it runs", lambda: task.state == "STAYING")
        began = time.monotonic()
        one.control.revoke(task.id, terminate=True, destination=[one.node])
        until(f"{name}: it is revoked", lambda: task.state == "REVOKED")
        seen[name] = time.monotonic() - began
    return seen


def kept(one):
    """Revokes one of two tasks in each of two queues that nobody takes from yet."""
    seen = {}
    for queue in ("later", "second"):
        unwanted, wanted = (one.send("odd.stays", number, queue=queue) for number in (1, 2))
        (told,) = one.control.revoke(unwanted.id, **one.once)
        seen[queue] = {"unwanted": unwanted.id, "wanted": wanted.id, "told": told[one.node]}
    return seen


def main():
    what, broker, backend, node = sys.argv[1:]
    os.environ["BROKER"], os.environ["BACKEND"] = broker, backend
    from app import app

    scenes = {scene.__name__: scene for scene in (rates, limits, fed, looks, soon, kept)}
    print(json.dumps(scenes[what](Steering(app, node))))


main()
