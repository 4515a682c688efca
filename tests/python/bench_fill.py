"""Fills the queue `celery` with calls of the no-op task, numbered from 0 in their
only argument, and prints their ids as JSON in that order."""

import json
import sys

from celery import Celery


def main():
    broker, count = sys.argv[1:]
    # Without a backend: nobody here waits for a result, and a client that does
    # listens to a channel for each call.
    app = Celery(broker=broker)
    with app.producer_or_acquire() as producer:
        calls = [app.send_task("bench.echo", args=[n], producer=producer) for n in range(int(count))]
    print(json.dumps([call.id for call in calls]))


main()
