"""Sends tasks by ways that a team may have configured, and prints what it saw as JSON."""

import json
import sys
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from celery import Celery
from kombu import Exchange, Queue

PATIENCE = 40  # seconds; a busy machine needs some of them
MEDIA = Exchange("media", type="topic")


def exchange(app):
    """Knows the exchange alone: what is bound to it is the worker's matter."""
    call = app.send_task(
        "text.word_count", args=["a b c"], exchange=MEDIA, routing_key="media.png.small", declare=[MEDIA],
    )
    return {"words": call.get(timeout=PATIENCE)}


def queue(app):
    """Declares the queue as its own configuration says, which is as ours."""
    arguments = {"x-max-priority": 9}
    app.conf.task_queues = [Queue("pictures", MEDIA, routing_key="media.#", queue_arguments=arguments)]
    call = app.send_task("text.word_count", args=["a b c"], queue="pictures")
    return {"words": call.get(timeout=PATIENCE)}


def naive(app):
    """Sends a moment as the clock on a wall in Tokyo shows it."""
    started = time.monotonic()
    eta = datetime.now(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None) + timedelta(seconds=3)
    words = app.send_task("text.word_count", args=["a b c"], eta=eta).get(timeout=PATIENCE)
    return {"words": words, "held": time.monotonic() - started >= 2.5}


def main():
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [exchange, queue, naive]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app)))


main()
