"""Calls tasks with every option a Celery program has, and prints what it saw as JSON."""

import datetime
import decimal
import json
import sys
import uuid

from celery import Celery

PATIENCE = 40  # seconds; a busy machine needs some of them
ARGS = {"ä": [1, 2.5, None, True, "x" * 200], "big": 2**53}


def main():
    broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    seen = {}

    def echo(value=ARGS, **options):
        return app.send_task("text.echo", args=[value], **options).get(timeout=PATIENCE)

    for serializer in ("json", "yaml", "msgpack", "pickle"):
        for compression in (None, "gzip", "bzip2", "lzma", "brotli", "zstd"):
            seen[f"{serializer} {compression}"] = echo(serializer=serializer, compression=compression) == ARGS

    calendar = [
        datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        datetime.date(2030, 1, 2), decimal.Decimal("1.50"), uuid.UUID(int=17), b"\xff\x00",
    ]
    for serializer in ("json", "pickle"):
        seen[f"{serializer} calendar"] = echo(calendar, serializer=serializer) == calendar

    try:
        echo({1, 2}, serializer="pickle")
    except Exception as error:
        seen["set"] = [type(error).__name__, str(error)]

    app.conf.task_protocol = 1
    for serializer in ("json", "pickle"):
        seen[f"protocol 1 {serializer}"] = echo(serializer=serializer) == ARGS
        retried = app.send_task("flaky.fails_until", args=[2], serializer=serializer)
        seen[f"protocol 1 {serializer} retry"] = retried.get(timeout=PATIENCE)
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    seen["protocol 1 eta"] = echo(eta=soon) == ARGS
    app.conf.task_protocol = 2

    seen["headers"] = echo(headers={"x-shop": "7"}, shadow="shown", priority=9, stamps="a") == ARGS
    retried = app.send_task("flaky.fails_until", args=[2], serializer="pickle", compression="gzip")
    seen["retry"] = retried.get(timeout=PATIENCE)
    print(json.dumps(seen))


main()
