"""Calls tasks with one option after another, and prints what became of each as JSON.

    calls.py fill BROKER BACKEND      one call of each priority, into a queue that nobody reads
    calls.py order BROKER BACKEND IDS the ids in the order in which they ended
    calls.py options BROKER BACKEND   every other option
    calls.py again BROKER BACKEND     what a retry keeps
    calls.py foreign BROKER BACKEND   a format of the caller's own
"""

import datetime
import json
import sys
import threading
import time

from celery import Celery, __version__
from celery.result import AsyncResult
from kombu import Queue, serialization

from patience import PATIENCE, caught, until

PRIORITIES = [0, 9, 3, 6, 3, 9, 0, 6]
UTC = datetime.timezone.utc


class Events:
    """Everything that workers tell, from the first heartbeat on."""

    def __init__(self, app):
        self.app, self.seen, self.over = app, [], False
        self.listening = threading.Event()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        assert self.listening.wait(PATIENCE), "no heartbeat"

    def listen(self):
        with self.app.connection_for_read() as connection:
            receiver = self.app.events.Receiver(connection, handlers={"*": self.hear})
            receiver.capture(limit=None, timeout=None, wakeup=True)

    def hear(self, event):
        self.seen.append(event)
        self.listening.set()

    def of(self, task, kind):
        def look():
            return [one for one in self.seen if one.get("uuid") == task and one["type"] == kind]

        return until(f"{kind} of {task}", look)


def fill(app):
    app.conf.task_queues = [Queue("ranked", max_priority=9)]
    sent = []
    for rank in PRIORITIES:
        call = app.send_task("report.nap", args=[20], queue="ranked", priority=rank)
        sent.append([call.id, rank])
    return sent


def order(app, *ids):
    for one in ids:
        AsyncResult(one, app=app).get(timeout=PATIENCE)
    return sorted(ids, key=lambda one: app.backend.get_task_meta(one)["date_done"])


def places(app, call):
    """Where a call goes, and what its guest is told of it."""
    seen = {}
    seen["queue"] = call("odd.told", 1, queue="side").get(timeout=PATIENCE)[3]
    seen["routing_key"] = call("odd.told", 1, routing_key="side", exchange="side").get(timeout=PATIENCE)[3]
    sent = call("odd.told", 1, task_id="chosen", root_id="the-root", parent_id="the-parent")
    seen["family"] = sent.get(timeout=PATIENCE)[:3]
    seen["header"] = call("odd.told", 1, headers={"x-shop": "seven"}).get(timeout=PATIENCE)[5]
    seen["number"] = call("odd.header", "x-n", headers={"x-n": 7}).get(timeout=PATIENCE)
    seen["nested"] = call("odd.header", "x-o", headers={"x-o": {"a": [1]}}).get(timeout=PATIENCE)
    seen["no header"] = call("odd.header", "stamps").get(timeout=PATIENCE)
    ignored = call("text.echo", 1, ignore_result=True)
    call("text.echo", 1).get(timeout=PATIENCE)
    seen["ignored"] = app.backend.get_task_meta(ignored.id)["status"]
    return seen


def moments(app, call):
    """When a call runs, and whether it does."""
    seen = {}
    now = datetime.datetime.now(UTC)
    past, soon = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1)
    naive = soon.replace(tzinfo=None)
    for name, expires in {
        "60": 60, "aware": soon, "naive": naive, "offset": soon.astimezone(datetime.timezone(datetime.timedelta(hours=5))),
        "past": past, "past naive": past.replace(tzinfo=None), "-1": -1, "1": 1, "0.5": 0.5,
    }.items():
        late = {"countdown": 2} if name in ("1", "0.5") else {}
        seen[f"expires {name}"] = caught(call("text.echo", "ran", expires=expires, **late))

    zone = datetime.timezone(datetime.timedelta(hours=-7))

    def ahead():
        return datetime.datetime.now(UTC) + datetime.timedelta(seconds=1)

    for name, options in {
        "countdown 1": lambda: {"countdown": 1},
        "countdown 1.5": lambda: {"countdown": 1.5},
        "eta aware": lambda: {"eta": ahead()},
        "eta naive": lambda: {"eta": ahead().replace(tzinfo=None)},
        "eta offset": lambda: {"eta": ahead().astimezone(zone)},
    }.items():
        started = time.monotonic()
        call("text.echo", 1, **options()).get(timeout=PATIENCE)
        # A second at least; an hour's error of a zone would never end.
        seen[name] = time.monotonic() - started >= 0.9
    seen["countdown 0"] = caught(call("text.echo", 1, countdown=0))
    seen["countdown -5"] = caught(call("text.echo", 1, countdown=-5))
    seen["eta past"] = caught(call("text.echo", 1, eta=past))
    return seen


def limits(app, call):
    """`odd.waits` may take two seconds here."""
    return {
        "own": caught(call("odd.waits", 60_000)),
        "lower": caught(call("odd.waits", 60_000, time_limit=1)),
        "fraction": caught(call("odd.waits", 60_000, time_limit=0.5)),
        "higher": caught(call("odd.waits", 60_000, time_limit=600, soft_time_limit=500)),
        "soft": caught(call("odd.waits", 60_000, soft_time_limit=1)),
        "both": caught(call("odd.waits", 60_000, time_limit=1, soft_time_limit=0.5)),
        "enough": caught(call("odd.waits", 10, time_limit=1)),
    }


def shown(app, call, events):
    """What monitors and extended results tell."""
    seen = {}
    call_ = call("text.echo", "v", shadow="a shadow", argsrepr="(hidden)", kwargsrepr="{hidden}")
    call_.get(timeout=PATIENCE)
    (told,) = events.of(call_.id, "task-received")
    seen["received"] = [told["name"], told["args"], told["kwargs"]]
    seen["document name"] = app.backend.get_task_meta(call_.id)["name"]

    stamps = {"order": "o-1", "many": ["a", "b"], "stamped_headers": ["order", "many"]}
    stamped = call("text.echo", 1, **stamps)
    stamped.get(timeout=PATIENCE)
    meta = json.loads(app.backend.get(app.backend.get_key_for_task(stamped.id)))
    seen["stamps"] = {"stamped_headers": sorted(meta["stamped_headers"]), "order": meta["order"], "many": meta["many"]}

    signature = app.signature("text.echo", args=[1])
    signature.stamp(visitor=None, order="o-2")
    stamped = signature.apply_async()
    stamped.get(timeout=PATIENCE)
    meta = json.loads(app.backend.get(app.backend.get_key_for_task(stamped.id)))
    seen["signature stamps"] = {name: meta.get(name) for name in ("stamped_headers", "order")}
    later = call("text.echo", 1, countdown=1, expires=600)
    later.get(timeout=PATIENCE)
    (told,) = events.of(later.id, "task-received")[:1]
    seen["moments"] = [bool(told["eta"]), bool(told["expires"])]
    return seen


def replies(app):
    """Results by message, to whom the caller says, under the correlation id of its choice."""
    seen = {}
    with app.connection_for_write() as connection:
        queue = connection.SimpleQueue("answers", no_ack=True)
        app.send_task("text.echo", args=["v"], task_id="asked", reply_to="answers", correlation_id="corr-1")
        message = queue.get(timeout=PATIENCE)
        seen["correlation"] = message.properties["correlation_id"]
        seen["task"] = message.payload["task_id"]
        seen["result"] = message.payload["result"]
        app.send_task("flaky.fails_until", args=[1], task_id="twice", reply_to="answers", correlation_id="corr-2")
        states = []
        while not states or states[-1][0] not in ("SUCCESS", "FAILURE"):
            message = queue.get(timeout=PATIENCE)
            states.append([message.payload["status"], message.properties["correlation_id"]])
        seen["retried"] = states
        queue.close()
    return seen


def options(app):
    def call(name, *args, **more):
        return app.send_task(name, args=list(args), **more)

    events = Events(app)
    return {
        "places": places(app, call),
        "moments": moments(app, call),
        "limits": limits(app, call),
        "shown": shown(app, call, events),
        "celery": __version__,
    }


def foreign(app):
    """Bodies in a format that no worker knows, and one task reads."""
    sent = []

    def encode(body):
        sent.append(b"\xff\x00shop\x1f" + repr(body).encode())
        return sent[-1]

    for name in ("shop", "other"):
        serialization.register(name, encode, bytes, content_type=f"application/x-{name}", content_encoding="binary")

    def call(name, *args, **more):
        return app.send_task(name, args=list(args), **{"serializer": "shop", **more})

    seen = {"celery": __version__}
    for compression in (None, "gzip", "bzip2"):
        told = call("odd.takes", "x" * 1000, compression=compression).get(timeout=PATIENCE)
        seen[f"body {compression}"] = told.pop("body") == sent[-1]
        seen[f"told {compression}"] = told
    seen["json"] = caught(call("odd.takes", {"content_type": "a", "content_encoding": "b", "body": b"c"}, serializer="json"))[0]
    seen["undeclared"] = caught(call("text.echo", 1))
    seen["another"] = caught(call("odd.takes", 1, serializer="other"))
    seen["unknown"] = caught(call("no.such", 1))
    seen["large"] = caught(call("odd.takes", "x" * (5 << 20)))
    seen["alive"] = call("text.echo", 1, serializer="json").get(timeout=PATIENCE)
    return seen


def retry_of(app, queue, task):
    """Takes the message of a retry out of the broker."""
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        if connection.transport.driver_type == "redis":
            look = lambda: channel.client.zrange(f"celeriac.parked.{queue}", 0, -1)
            find = lambda: [one.decode()[33:] for one in look() if task in one.decode()]
            (text,) = until("the retry", find)
            envelope = json.loads(text)
            message = channel.Message(envelope, channel=channel)
        else:
            message = until("the retry", lambda: channel.basic_get(queue, no_ack=True))
        return {
            "headers": message.headers,
            "properties": {name: message.properties.get(name) for name in ("priority", "reply_to", "correlation_id")},
            "body": json.loads(message.body),
        }


def again(app):
    """A retry that waits while nobody reads its queue is read by us."""
    app.conf.task_queues = [Queue("kept")]
    link, errback = app.signature("text.echo", args=["l"]), app.signature("text.echo", args=["e"])
    call = app.send_task(
        "flaky.fails_until", args=[1], kwargs={"delay_ms": 3_000}, queue="kept", priority=6,
        headers={"x-shop": "seven", "x-list": [1, {"a": None}]}, shadow="a shadow", reply_to="answers", correlation_id="corr",
        time_limit=50, soft_time_limit=40, expires=600, link=link, link_error=errback,
        group_id="a-group", root_id="a-root", order="o-1", stamped_headers=["order"],
    )
    until("RETRY", lambda: call.state == "RETRY")
    told = app.control.cancel_consumer("kept", reply=True, timeout=PATIENCE, limit=1)
    kept = retry_of(app, "kept", call.id)
    return {"told": [list(one.values())[0] for one in told], "id": kept["headers"]["id"] == call.id, **kept}


def main():
    what, broker, backend, *more = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    app.conf.result_extended = True
    scenes = [fill, order, options, again, replies, foreign]
    # A server adds headers of its own, with moments in them.
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app, *more), default=str))


main()
