"""A Python worker with tasks of our names: what it sends and stores is what ours should."""

import os
import time

from celery import Celery

app = Celery("reference", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.task_acks_late = True
app.conf.result_extended = True
app.conf.broker_connection_retry_on_startup = True
# Chords over databases and files are looked for here, and not where nobody serves.
app.conf.task_default_queue = os.environ.get("QUEUE", "theirs")


@app.task(name="text.echo")
def echo(value):
    return value


@app.task(name="numbers.add")
def add(x, y):
    return x + y


@app.task(name="numbers.total")
def total(values):
    return sum(values)


@app.task(name="flaky.fails")
def fails(kind, message):
    raise {"ValueError": ValueError}[kind](message)


@app.task(name="odd.header", bind=True)
def header(self, name):
    return (self.request.headers or {}).get(name)


@app.task(name="odd.waits")
def waits(milliseconds):
    time.sleep(milliseconds / 1000)
    return [1, 0]
