"""Tries what is another tenant's with the address of one, and prints what it was told as JSON."""

import json
import sys

import redis
from celery import Celery

FOREIGN = [
    ["KEYS", "*"],
    ["SCAN", "0"],
    ["RANDOMKEY"],
    ["DBSIZE"],
    ["GET", "plain"],
    ["LRANGE", "celery", "0", "-1"],
    ["LRANGE", "celeriac:other:celery", "0", "-1"],
    ["LPUSH", "celeriac:other:celery", "{}"],
    ["COPY", "celeriac:other:x", "celeriac:acme:x"],
    ["PUBLISH", "celeriac:other:/0.celeryev/x", "x"],
    ["PUBSUB", "CHANNELS"],
    ["CLIENT", "LIST"],
    ["CLIENT", "TRACKING", "ON", "BCAST"],
    ["CONFIG", "GET", "*"],
    ["ACL", "LIST"],
    ["EVAL", "return redis.call('KEYS', '*')", "0"],
    ["FUNCTION", "LIST"],
    ["MONITOR"],
    ["FLUSHALL"],
    ["SWAPDB", "0", "1"],
    ["SHUTDOWN"],
]


def refused(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def through_redis(url):
    """What Redis says to commands beyond the prefix, and to what kombu subscribes."""
    seen = {" ".join(words): refused(lambda: redis.Redis.from_url(url).execute_command(*words)) for words in FOREIGN}
    for pattern in ["*", "celeriac:other:/0.celeryev/*", "celeriac:*"]:
        heard = redis.Redis.from_url(url).pubsub()
        seen[f"PSUBSCRIBE {pattern}"] = refused(lambda: (heard.psubscribe(pattern), heard.parse_response()))
    return seen


def send(url, options):
    """What a client of Celery is told that sends a task there."""
    app = Celery(broker=url, broker_transport_options=options)
    policy = {"max_retries": 0}
    with app.connection_for_write(connect_timeout=5) as connection:
        return refused(lambda: app.send_task("text.word_count", args=["a"], connection=connection, retry_policy=policy))


def events(url, options):
    """What a client is told that listens to events, as Flower does."""
    app = Celery(broker=url, broker_transport_options=options)
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={})
        return refused(lambda: list(zip(range(1), receiver.itercapture(limit=1, timeout=1, wakeup=False))))


what, url, *more = sys.argv[1:]
options = json.loads(more[0]) if more else {}
print(json.dumps({"redis": lambda: through_redis(url), "send": lambda: send(url, options), "events": lambda: events(url, options)}[what]()))
