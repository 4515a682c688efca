"""Sends messages byte by byte, and prints what their callers are told, as JSON.

    bad_messages.py BROKER BACKEND MESSAGES

Each message is a list of its body (numbers), content type, content encoding and headers.
"""

import json
import sys

from celery import Celery
from celery.result import AsyncResult
from patience import PATIENCE, caught


def main():
    broker, backend, messages = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    messages = json.loads(messages)
    with app.connection_for_write() as connection:
        producer = connection.Producer()
        for body, content_type, encoding, headers in messages:
            producer.publish(
                bytes(body), headers=headers, content_type=content_type, content_encoding=encoding,
                exchange="", routing_key="celery", correlation_id=headers["id"],
            )
    told = {headers["id"]: caught(AsyncResult(headers["id"], app=app)) for *_, headers in messages}
    alive = app.send_task("text.echo", args=["alive"]).get(timeout=PATIENCE)
    print(json.dumps({"told": told, "alive": alive}))


main()
