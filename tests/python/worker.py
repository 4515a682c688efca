"""A Python worker with one task that takes its time: `celery -A worker worker`."""

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
