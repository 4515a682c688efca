"""Monitors a worker while tasks come to every end, and prints what was seen as JSON.

    monitor.py ends BROKER BACKEND       the events of tasks, and what Celery's State makes of them
    monitor.py started BROKER BACKEND    the state and info of a task that runs
    monitor.py switched BROKER BACKEND   what is told of tasks before, while and after events are on
    monitor.py life BROKER BACKEND       the events of a worker that is shut down and of its successor
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


def runs(task, state="STAYING"):
    """Waits until a task of `hold` runs."""
    patience = time.monotonic() + PATIENCE
    while task.state != state:
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
        sent["unwanted"] = app.send_task("text.echo", [1], countdown=8)
        app.control.revoke(sent["unwanted"].id)
        sent["terminated"] = hold(app)
        runs(sent["terminated"])
        # It runs while the other is terminated, and is not touched.
        sent["neighbour"] = app.send_task("odd.waits", [2000])
        runs(sent["neighbour"], "WAITING")
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
    workers = [event for event in seen if event["type"] == "worker-heartbeat"]
    return {"events": told, "states": states, "workers": workers}


def receiver(app, seen, raw):
    """Receives events, and what the messages that they came in looked like."""

    class Receiver(app.events.Receiver):
        def _receive(self, body, message, **more):
            key = message.delivery_info["routing_key"]
            events = body if isinstance(body, list) else [body]
            raw.append([key, type(body).__name__, [event["type"] for event in events]])
            seen.extend(dict(event) for event in events)
            return super()._receive(body, message, **more)

    return lambda connection: Receiver(connection, handlers={"*": lambda event: None})


def switched(app):
    """Switches events on and off around a task; a request is later than all that follows it."""
    seen, raw, ids, told = [], [], [], []
    once = {"reply": True, "timeout": 20, "limit": 1}

    def call():
        task = app.send_task("text.echo", [1])
        task.get(timeout=PATIENCE)
        ids.append(task.id)

    def beats():
        return sum(event["type"] == "worker-heartbeat" for event in seen)

    step, beat = 0, 0
    with app.connection_for_read() as connection:
        listening = receiver(app, seen, raw)(connection)
        for _ in listening.itercapture(limit=None, timeout=PATIENCE):
            if step == 0 and beats():
                call()
                # It is told of, or not, before it is off the list.
                while any(app.control.inspect(timeout=20, limit=1).active().values()):
                    pass
                early = max(event["clock"] for event in seen)
                app.control.mailbox.clock.adjust(10**6)
                told.append(app.control.enable_events(**once))
                call()
                step = 1
            if step == 1 and any(event["type"] == "task-succeeded" for event in seen):
                told.append(app.control.disable_events(**once))
                call()
                step, beat = 2, beats()
            if step == 2 and beats() > beat + 1:
                break
    tasks = [event for event in seen if event["type"].startswith("task-")]
    return {
        "tasks": [[ids.index(event["uuid"]), event["type"]] for event in tasks],
        "clocks": [early, min(event["clock"] for event in tasks)],
        "told": [list(answers[0].values())[0] for answers in told],
        "raw": raw,
    }


def beats(app):
    """Orders heartbeats, one after each that comes, and returns the gaps between all."""
    at = []
    with app.connection_for_read() as connection:
        listening = app.events.Receiver(connection, handlers={"worker-heartbeat": lambda event: at.append(event["timestamp"])})
        for _ in listening.itercapture(limit=None, timeout=PATIENCE):
            if len(at) > 4:
                break
            app.control.heartbeat()
    return [after - before for before, after in zip(at, at[1:])]


def life(app):
    """Shuts a worker down, and looks on until the next one is there."""
    seen, asked = [], False
    with app.connection_for_read() as connection:
        listening = app.events.Receiver(connection, handlers={"*": seen.append})
        for _ in listening.itercapture(limit=None, timeout=PATIENCE):
            if not asked:
                app.control.shutdown()
                asked = True
            if any(event["type"] == "worker-online" for event in seen):
                break
    return [event for event in seen if event["type"] != "worker-heartbeat"]


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

    print(json.dumps({scene.__name__: scene for scene in (ends, started, switched, beats, life, stamps)}[what](app)))


main()
