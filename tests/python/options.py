"""Calls tasks with every option a Celery program has, and prints what it saw as JSON."""

import datetime
import decimal
import json
import sys
import uuid

from celery import Celery, __version__, chain, chord, group
from celery.result import AsyncResult

PATIENCE = 40  # seconds; a busy machine needs some of them
ARGS = {"ä": [1, 2.5, None, True, "x" * 200], "big": 2**53}


def caught(result):
    """Returns the class of what `get` raises, and its text."""
    try:
        return ["returned", result.get(timeout=PATIENCE)]
    except Exception as error:
        return [type(error).__name__, str(error)]


def protocol1(app, echo):
    """What releases before 4 send, with everything that stands in the body there."""
    seen = {}
    app.conf.task_protocol = 1
    for serializer in ("json", "yaml", "msgpack", "pickle"):
        seen[f"protocol 1 {serializer}"] = echo(serializer=serializer) == ARGS
        seen[f"protocol 1 {serializer} gzip"] = echo(serializer=serializer, compression="gzip") == ARGS
        retried = app.send_task("flaky.fails_until", args=[2], serializer=serializer)
        seen[f"protocol 1 {serializer} retry"] = retried.get(timeout=PATIENCE)
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    seen["protocol 1 eta"] = echo(eta=soon) == ARGS
    seen["protocol 1 expires"] = echo(expires=600) == ARGS
    late = app.send_task("text.echo", args=[1], expires=1, countdown=2)
    seen["protocol 1 expired"] = caught(late)[0] == "TaskRevokedError"
    slow = app.send_task("report.nap", args=[60_000], time_limit=1)
    seen["protocol 1 time limit"] = caught(slow)[0] == "TimeLimitExceeded"
    slow = app.send_task("report.nap", args=[60_000], time_limit=20, soft_time_limit=1)
    seen["protocol 1 soft time limit"] = caught(slow)[0] == "SoftTimeLimitExceeded"

    def s(value, **options):
        return app.signature("text.echo", args=[value], **options)

    link, errback = (app.signature("text.echo", task_id=str(uuid.uuid4())) for _ in range(2))
    followed = app.send_task("text.echo", args=["a"], link=link)
    linked = AsyncResult(link.options["task_id"], app=app)
    seen["protocol 1 link"] = [followed.get(timeout=PATIENCE), linked.get(timeout=PATIENCE)] == ["a", "a"]
    failed = app.send_task("flaky.fails", args=["ValueError", "boom"], link_error=errback)
    seen["protocol 1 link_error"] = caught(failed) == ["ValueError", "boom"]
    told = AsyncResult(errback.options["task_id"], app=app)
    seen["protocol 1 errback"] = told.get(timeout=PATIENCE) == failed.id
    seen["protocol 1 chain"] = caught(chain(s("a"), app.signature("text.echo"), app.signature("text.echo"))()) == ["returned", "a"]
    seen["protocol 1 group"] = caught(group(s(n) for n in range(3))()) == ["returned", [0, 1, 2]]
    seen["protocol 1 chord"] = caught(chord([s(n) for n in range(3)])(app.signature("text.echo"))) == ["returned", [0, 1, 2]]
    app.conf.task_protocol = 2
    return seen


def refused(app):
    """Every format but JSON, where JSON alone is accepted; the class as `get` raises it."""
    seen = {"celery": __version__}
    for protocol in (2, 1):
        app.conf.task_protocol = protocol
        for serializer in ("yaml", "msgpack", "pickle"):
            for compression in (None, "gzip"):
                call = app.send_task("text.echo", args=[1], serializer=serializer, compression=compression)
                try:
                    told = ["returned", call.get(timeout=PATIENCE)]
                except Exception as error:
                    told = [f"{type(error).__module__}.{type(error).__name__}", str(error)]
                seen[f"{serializer} {compression} {protocol}"] = told
    seen["json"] = app.send_task("text.echo", args=[1], compression="gzip").get(timeout=PATIENCE)
    return seen


def everything(app):
    seen = {}

    def echo(value=ARGS, **options):
        return app.send_task("text.echo", args=[value], **options).get(timeout=PATIENCE)

    for serializer in ("json", "yaml", "msgpack", "pickle"):
        for compression in (None, "gzip", "bzip2", "lzma", "brotli", "zstd"):
            seen[f"{serializer} {compression}"] = echo(serializer=serializer, compression=compression) == ARGS

    calendar = [
        datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        datetime.date(2030, 1, 2), decimal.Decimal("1.50"), uuid.UUID(int=17), b"\xff\x00",
        datetime.datetime(2030, 1, 2, 3, 4, 5, 678_901), datetime.time(3, 4, 5), datetime.time(3, 4, 5, 678_901),
        "g\u00fcn \U0001d11e".encode(), b"text", b"",
    ]
    for serializer in ("json", "pickle"):
        seen[f"{serializer} calendar"] = echo(calendar, serializer=serializer) == calendar

    try:
        echo({1, 2}, serializer="pickle")
    except Exception as error:
        seen["set"] = [type(error).__name__, str(error)]

    seen.update(protocol1(app, echo))
    seen["headers"] = echo(headers={"x-shop": "7"}, shadow="shown", priority=9, stamps="a") == ARGS
    retried = app.send_task("flaky.fails_until", args=[2], serializer="pickle", compression="gzip")
    seen["retry"] = retried.get(timeout=PATIENCE)
    return seen


def main():
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    print(json.dumps({"everything": everything, "refused": refused}[what](app)))


main()
