"""Calls tasks as any Celery program does, and prints what it saw as JSON."""

import json
import sys
import time

from celery import Celery, __version__
from kombu import Queue

from patience import PATIENCE, caught


def snippet(app):
    call = app.send_task("text.word_count", args=["to be or not to be"])
    return {"words": call.get(timeout=PATIENCE), "celery": __version__}


def everything(app):
    def call(name, *args, **options):
        return app.send_task(name, args=list(args), **options)

    seen = snippet(app)
    nested = {"ä": [1, 2.5, None, {"deep": ["𝄞", True]}]}
    seen["echo"] = call("text.echo", nested).get(timeout=PATIENCE) == nested
    seen["kwargs"] = call("text.word_count", kwargs={"text": "a b a", "unique": True}).get(timeout=PATIENCE)
    large = "x" * (4 * 1024 * 1024 - 1024)
    seen["large"] = call("text.echo", large).get(timeout=PATIENCE) == large
    seen["value_error"] = caught(call("flaky.fails", "ValueError", "boom"))
    seen["type_error"] = caught(call("text.word_count"))
    seen["not_registered"] = caught(call("no.such"))
    seen["time_limit"] = caught(call("report.nap", 60_000, time_limit=1))
    seen["retry"] = call("flaky.fails_until", 2).get(timeout=PATIENCE)
    seen["retries_end"] = caught(call("flaky.connects", 9))
    seen["expired"] = caught(call("text.word_count", "a", countdown=2, expires=1))

    started = time.monotonic()
    call("text.word_count", "a", countdown=2).get(timeout=PATIENCE)
    seen["countdown_held"] = time.monotonic() - started >= 1.5

    states = []
    building = call("report.build", "Sales", 4, 600)
    building.get(timeout=PATIENCE, on_message=states.append)
    seen["progress"] = [state["result"]["current"] for state in states if state["status"] == "PROGRESS"]

    many = [call("text.word_count", "word " * (n % 7)) for n in range(1000)]
    seen["many"] = [one.get(timeout=PATIENCE) for one in many] == [n % 7 for n in range(1000)]

    ignored = call("text.word_count", "a", ignore_result=True)
    call("text.word_count", "a").get(timeout=PATIENCE)
    seen["ignored"] = app.backend.get_task_meta(ignored.id)["status"]
    return seen


def quorum(app):
    """Uses a queue of another type, as Celery itself would if told so."""
    app.conf.task_default_queue_type = "quorum"
    app.conf.task_queues = [Queue("celery", queue_arguments={"x-queue-type": "quorum", "x-max-length": 5000})]
    seen = snippet(app)
    seen["retry"] = app.send_task("flaky.fails_until", args=[2]).get(timeout=PATIENCE)
    return seen


def gone(app):
    """Asks for a reply where nobody listens any more, and then for one that is heard."""
    app.send_task("text.word_count", args=["a"], reply_to="no-such-queue")
    return snippet(app)


def nonsense(app):
    """Sends what no client of Celery would."""
    shape = {"id": "shape", "task": "text.word_count"}
    bad = [
        (b"\xff\xfe", {}, "application/json"),
        (b"[[], {}, {}]", {"id": 7, "task": ["x"]}, "application/json"),
        (b"[[], {}, {}]", {"id": "type", "task": "text.word_count"}, "application/x-unknown"),
        (b"{}", shape, "application/json"),
        (b"[[], {}, {}]", {"task": "text.word_count"}, "application/json"),
    ]
    with app.connection_for_write() as connection:
        producer = connection.Producer()
        for body, headers, content_type in bad:
            producer.publish(
                body, headers=headers, content_type=content_type, content_encoding="binary",
                exchange="", routing_key="celery",
            )
    return {"sent": len(bad)}


def paced(app):
    """Calls one task nine times, and says how long it took until all were over."""
    began = time.monotonic()
    sent = [app.send_task("text.echo", args=[n]) for n in range(9)]
    seen = [one.get(timeout=PATIENCE) for one in sent]
    return {"seen": seen, "took": time.monotonic() - began}


def limited(app):
    """Calls a task that may run once, and then one that nothing holds back."""
    first = app.send_task("text.echo", args=[1]).get(timeout=PATIENCE)
    held = [app.send_task("text.echo", args=[n]) for n in range(20)]
    other = app.send_task("odd.waits", args=[1]).get(timeout=PATIENCE)
    return {"first": first, "other": other, "held": [[one.id, one.state] for one in held]}


def main():
    what, broker, backend, *options = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    for text in options:
        app.conf.broker_transport_options = json.loads(text)
        app.conf.result_backend_transport_options = json.loads(text)
    scenes = [snippet, everything, quorum, gone, nonsense, paced, limited]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app)))


main()
