"""A Python worker: `celery -A worker worker`."""

import datetime
import decimal
import json
import os
import time
import uuid

from celery import Celery

app = Celery("py", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.task_acks_late = True
app.conf.broker_connection_retry_on_startup = True
app.conf.broker_transport_options = json.loads(os.environ.get("TRANSPORT_OPTIONS", "{}"))


def remember(task):
    """Writes down that a task ran, where a test asks for that."""
    if diary := os.environ.get("DIARY"):
        with open(diary, "a") as lines:
            lines.write(f"{task.request.id}\n")


@app.task(name="py.nap", bind=True)
def nap(self, seconds):
    remember(self)
    time.sleep(seconds)
    return "from Python"


@app.task(name="py.shared", bind=True)
def shared(self, milliseconds):
    remember(self)
    time.sleep(milliseconds / 1000)
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


@app.task(name="py.request", bind=True)
def request(self):
    told = self.request
    return [told.timelimit, told.stamps, told.stamped_headers, told.reply_to]


@app.task(name="py.values")
def values():
    paris = datetime.timezone(datetime.timedelta(hours=1))
    return {
        "moment": datetime.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc),
        "there": datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=paris),
        "naive": datetime.datetime(2030, 1, 2, 3, 4, 5),
        "day": datetime.date(2028, 2, 29),
        "time": datetime.time(23, 59, 59, 500000),
        "price": decimal.Decimal("-12.50"),
        "id": uuid.UUID("123456789abcdef00123456789abcdef"),
        "bytes": b"\x00\xff",
        "list": [1, 2.5, None],
    }


@app.task(name="py.complex")
def complex_number():
    return 1 + 2j


@app.task(name="py.progress", bind=True)
def progress(self, steps):
    for step in range(steps):
        self.update_state(state="PROGRESS", meta={"current": step + 1, "total": steps})
    return steps


@app.task(name="py.boom")
def boom(*args):
    raise LookupError("from Python")
