"""Monitors a worker while tasks come to every end, and prints what was seen as JSON.

    monitor.py ends BROKER BACKEND       the events of tasks, and what Celery's State makes of them
    monitor.py started BROKER BACKEND    the state and info of a task that runs
    monitor.py stamps BROKER BACKEND     what becomes of stamped tasks that are revoked
"""

import datetime
import json
import os
import sys
import time

PATIENCE = 40  # seconds; a busy machine needs some of them
LAST = {"task-succeeded", "task-failed", "task-revoked", "task-rejected"}


def hold(app, *stamps):
    """Sends a task that runs until it is told to stop."""
    signature = app.signature("odd.stays", args=[600_000])
    for stamp in stamps:
        signature.stamp(**stamp)
    return signature.apply_async()


def runs(task):
    """Waits until a task of `hold` runs."""
    patience = time.monotonic() + PATIENCE
    while task.state != "STAYING":
        assert time.monotonic() < patience, task.state
        time.sleep(0.02)


def ends(app):
    now = datetime.datetime.now(datetime.timezone.utc)
    app.conf.task_send_sent_event = True
    seen, sent = [], {}

    def over():
        last = {event["uuid"] for event in seen if event["type"] in LAST}
        return sent and last >= {task.id for task in sent.values()}

    def send():
        sent["failed"] = app.send_task("flaky.fails", ["ValueError", "too ä"])
        sent["retried"] = app.send_task("flaky.fails_until", [1, 10])
        sent["rejected"] = app.send_task("flaky.rejects", ["not mine"])
        sent["expired"] = app.send_task("text.echo", [1], expires=now - datetime.timedelta(seconds=5))
        sent["unwanted"] = app.send_task("text.echo", [1], countdown=2)
        app.control.revoke(sent["unwanted"].id)
        sent["terminated"] = hold(app)
        runs(sent["terminated"])
        app.control.revoke(sent["terminated"].id, terminate=True)

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        # The first that comes is a heartbeat: it says that we listen by now.
        for _ in receiver.itercapture(limit=None, timeout=PATIENCE):
            if not sent:
                send()
            if over():
                break
    state = app.events.State()
    for event in seen:
        state.event(dict(event))
    told = {
        name: [event for event in seen if event.get("uuid") == task.id] for name, task in sent.items()
    }
    states = {name: state.tasks[task.id].state for name, task in sent.items()}
    return {"events": told, "states": states}


def started(app):
    # It sets no state of its own before it is over.
    task = app.send_task("report.nap", [600_000])
    patience = time.monotonic() + PATIENCE
    while task.state == "PENDING":
        assert time.monotonic() < patience
        time.sleep(0.02)
    seen = [task.state, task.info]
    task.revoke(terminate=True)
    task.get(propagate=False, timeout=PATIENCE)
    return seen + [task.state]


def stamps(app):
    mine, other, both = (
        hold(app, {"owner": "mine"}),
        hold(app, {"owner": "other"}),
        hold(app, {"owner": "mine"}, {"batch": "b7"}),
    )
    plain = app.send_task("text.echo", [1])
    for task in (mine, other, both):
        runs(task)
    quick = {"reply": True, "timeout": 20, "limit": 1}
    told = [app.control.revoke_by_stamped_headers({"batch": ["b7"]}, terminate=True, **quick)]
    both.get(propagate=False, timeout=PATIENCE)
    between = [mine.state, other.state, both.state]
    told.append(app.control.revoke_by_stamped_headers({"owner": ["mine"]}, terminate=True, **quick))
    mine.get(propagate=False, timeout=PATIENCE)
    # What comes later with such a stamp is not run.
    late = app.signature("text.echo", args=[1])
    late.stamp(owner="mine")
    late = late.apply_async()
    late.get(propagate=False, timeout=PATIENCE)
    after = [mine.state, other.state, late.state, plain.get(timeout=PATIENCE)]
    other.revoke(terminate=True)
    other.get(propagate=False, timeout=PATIENCE)
    return {"told": told, "between": between, "after": after}


def main():
    what, broker, backend = sys.argv[1:]
    os.environ["BROKER"], os.environ["BACKEND"] = broker, backend
    from app import app

    print(json.dumps({scene.__name__: scene for scene in (ends, started, stamps)}[what](app)))


main()
