"""Puts names that command a terminal wherever something is shown from, and answers
remote control under such a name until it is ended.

    hostile_names.py BROKER BACKEND
"""

import json
import socket
import sys

from celery import Celery
from kombu import Queue

# A title, a cleared screen, a colour by one byte, text turned around and hidden, a
# clipboard that is written to, and a line that looks like one of a log.
NAME = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\u200b\U000e0041\x1b]52;c;aGk=\x1b\\\r\n12:00:00.000 ERROR forged"
# What may be the name of a task, as it holds no control character.
HIDDEN = "no.such\u202e\u2066\u200b\U000e0041task"


def send(app):
    """Messages that are refused, that nobody knows, that run and that wait."""
    def message(name, content_type="application/json", **headers):
        protocol = {"lang": "py", "task": "text.echo", "id": name, "root_id": name, "retries": 0, **headers}
        producer.publish(
            '[["v"], {}, {}]', headers=protocol, content_type=content_type, content_encoding="utf-8",
            exchange="", routing_key="celery", correlation_id=name,
        )

    with app.connection_for_write() as connection:
        producer = connection.Producer()
        Queue("celery", channel=connection.default_channel).declare()
        message("bad-task", task="no.such" + NAME)
        message("bad-eta", eta=NAME)
        message("bad-type", content_type=NAME.replace("\r\n", ""))
        message("bad-compression", compression=NAME)
        message("unknown", task=HIDDEN)
        message("id\u202e\u200b", task=HIDDEN)
        message("shown", shadow=NAME, argsrepr=NAME, kwargsrepr=NAME, origin=NAME, stamped_headers=[NAME], stamps={NAME: NAME})
        message("waits", task=HIDDEN, eta="2999-01-01T00:00:00", shadow=NAME)


def store(client, name, **document):
    client.set("celery-task-meta-" + name, json.dumps({"task_id": name, **document}, ensure_ascii=False))


def stored(client):
    """Results as another worker may have stored them."""
    line = {"level": "info", "message": NAME, "fields": [[NAME, NAME]]}
    ours = {"task": NAME, "worker": NAME, "log": json.dumps({"lines": [line], "dropped_lines": 0, "dropped_bytes": 0})}
    store(client, "stored", status="SUCCESS", celeriac=ours, result={NAME: NAME})
    thrown = {"exc_type": NAME, "exc_message": [NAME], "exc_module": NAME}
    store(client, "failed", status="FAILURE", celeriac=ours, result=thrown, traceback=NAME)
    store(client, "retried", status="RETRY", celeriac=ours, result=thrown, traceback=NAME)
    store(client, "custom", status="X" + NAME, celeriac=ours, result={NAME: NAME})


def task(name):
    place = {"routing_key": NAME, "exchange": NAME}
    return {"id": name, "name": NAME, "args": NAME, "kwargs": NAME, "hostname": NAME, "time_start": 1.5, "delivery_info": place}


HANDLERS = {
    "ping": lambda state, **_: {"ok": NAME},
    "report": lambda state, **_: {"ok": NAME},
    "active": lambda state, **_: [task(NAME)],
    "reserved": lambda state, **_: [task(NAME)],
    "scheduled": lambda state, **_: [{"eta": NAME, "request": task(NAME)}],
    "registered": lambda state, **_: [NAME],
    "revoked": lambda state, **_: [NAME],
    "stats": lambda state, **_: {"pid": NAME, "uptime": NAME, "total": {NAME: 1}, "pool": {"max-concurrency": NAME}},
    "active_queues": lambda state, **_: [
        {"name": name, "routing_key": NAME, "exchange": {"name": NAME, "type": NAME}} for name in ("celery", NAME)
    ],
    "query_task": lambda state, ids=(), **_: {name: ["active", task(name)] for name in ids if name == "held"},
}


def answer(app):
    """Answers whatever is asked, and tells events."""
    with app.connection_for_read() as connection:
        node = app.control.mailbox.Node("hostile@host", channel=connection.channel(), handlers=HANDLERS)
        node.listen(callback=node.handle_message)
        node.hostname = NAME
        events = app.events.Dispatcher(connection, hostname=NAME)
        while True:
            events.send("task-received", uuid=NAME, name=NAME, args=NAME)
            events.send("worker-\x1b[2J", sw_ident=NAME)
            try:
                connection.drain_events(timeout=0.2)
            except (socket.timeout, TimeoutError):
                pass


def main():
    broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    send(app)
    stored(app.backend.client)
    if broker.startswith("redis"):
        with app.connection_for_write() as connection:
            client = connection.default_channel.client
            client.sadd("celeriac.queues", NAME)
            client.lpush(NAME, NAME)
    answer(app)


main()
