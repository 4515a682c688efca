"""The no-op task of the benchmark, as Celery runs it: `celery -A bench_worker worker`."""

import os

from celery import Celery

app = Celery("bench", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])


@app.task(name="bench.echo")
def echo(value):
    return value
