"""The tasks of the benchmarks, as Celery runs them: `celery -A bench_worker worker`."""

import os

from celery import Celery

app = Celery("bench", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])


@app.task(name="bench.echo")
def echo(value):
    return value


@app.task(name="bench.add")
def add(left, right):
    return left + right


@app.task(name="bench.total")
def total(values):
    return sum(values)
