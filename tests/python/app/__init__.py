"""What `celery -A app` works with: the broker of a test, and no tasks of its own."""

import functools
import os

from celery import Celery

app = Celery("app", broker=os.environ["BROKER"], backend=os.environ.get("BACKEND"))
app.conf.broker_connection_retry_on_startup = True
# Flower waits a second for the worker that it steers. The first answer ends the wait.
app.control.broadcast = functools.partial(app.control.broadcast, timeout=20)
