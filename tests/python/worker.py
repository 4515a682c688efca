"""A Python worker: `celery -A worker worker`."""

import os
import time

from celery import Celery

app = Celery("py", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.task_acks_late = True
app.conf.broker_connection_retry_on_startup = True


@app.task(name="py.nap")
def nap(seconds):
    time.sleep(seconds)
    return "from Python"


@app.task(name="py.add")
def add(x, y):
    return x + y


@app.task(name="py.total")
def total(values):
    return sum(values)


@app.task(name="py.echo")
def echo(value):
    return value


@app.task(name="py.boom")
def boom(*args):
    raise LookupError("from Python")
